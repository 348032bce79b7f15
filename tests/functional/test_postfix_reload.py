"""Postfix reloads its configuration while mail flows."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from support import messages
from support.deployment import Deployment, deploy
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.passage import SENDER, message_id_of
from support.postfix import Listener, PrivatePostfix
from support.processes import WaitTimeoutError, wait_until
from support.reading import open_images, tracking_links
from support.smtp_client import SendResult, SmtpSession, send
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

MESSAGES_PER_CLIENT = 50
RELOADS = 5


@pytest.fixture(scope="module")
def reloaded(
    sink: SmtpSink, dns_server: DnsServer, receiver: WebhookReceiver
) -> Iterator[Deployment]:
    """Give a deployment and a Postfix of this module's own."""
    with PrivatePostfix(sink.port) as postfix, Installation() as installation:
        yield deploy(installation, postfix, dns_server, receiver)


@dataclass
class Client:
    """Sends its messages, each on a connection of its own or ten on one."""

    listener: Listener
    per_connection: int
    raws: list[bytes]
    results: list[SendResult] = field(default_factory=list)

    def run(self) -> None:
        """Send everything."""
        for at in range(0, len(self.raws), self.per_connection):
            batch = self.raws[at : at + self.per_connection]
            if self.per_connection == 1:
                self.results.append(send(self.listener, SENDER, messages.RECIPIENTS, batch[0]))
                continue
            with SmtpSession(self.listener) as session:
                for raw in batch:
                    self.results.append(session.send(SENDER, messages.RECIPIENTS, raw))


def test_reload_under_load(reloaded: Deployment, sink: SmtpSink) -> None:
    """Five reloads while four clients send 200 messages: none refused, lost, doubled, untracked."""
    listener = reloaded.postfix.add_listener("strict", "unix:openclick/milter.sock", "tempfail")
    clients = [
        Client(listener, size, [messages.newsletter() for _ in range(MESSAGES_PER_CLIENT)])
        for size in (1, 1, 10, 10)
    ]
    threads = [threading.Thread(target=client.run) for client in clients]

    for thread in threads:
        thread.start()
    for reload in range(RELOADS):
        _wait_for_answers(clients, reload * 30 + 10)
        _reload(reloaded.postfix)
    answers_at_last_reload = sum(len(client.results) for client in clients)
    for thread in threads:
        thread.join(60)
    _deliver_all(reloaded.postfix)
    sent = [message_id_of(raw) for client in clients for raw in client.raws]
    arrived = [message.content for message in sink.messages]

    assert answers_at_last_reload < len(sent), "the reloads came too late to matter"
    assert {250} == {result.code for client in clients for result in client.results}
    assert sorted(sent) == sorted(map(message_id_of, arrived))
    assert {(1, 7)} == {(len(open_images(each)), len(tracking_links(each))) for each in arrived}


def _wait_for_answers(clients: list[Client], count: int) -> None:
    wait_until(
        lambda: sum(len(client.results) for client in clients) >= count, 60.0, f"{count} answers"
    )


def _reload(postfix: PrivatePostfix) -> None:
    """Do what `postfix reload` does after its checks."""
    start = len(postfix.queue_log())
    os.kill(postfix.master_pid, signal.SIGHUP)
    postfix.wait_for_log(r"master\[\d+\]: reload -- version", start=start)


def _deliver_all(postfix: PrivatePostfix) -> None:
    """Wait for an empty queue.

    A new queue manager skips what the old one's agents still deliver, until its next scan.
    """
    for _ in range(10):
        postfix.flush()
        with contextlib.suppress(WaitTimeoutError):
            postfix.wait_for_empty_queue(2.0)
            return
    postfix.wait_for_empty_queue(2.0)
