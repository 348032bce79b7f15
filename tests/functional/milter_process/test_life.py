"""A milter's life: SIGTERM drains, a second one is refused, the heart beats (DESIGN 3.11)."""

import dataclasses
import signal
import threading
from pathlib import Path

import pytest

from functional.milter_process.submissions import Client, submit
from support import messages
from support.deployment import DOMAIN, Deployment, delivered, deploy
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.postfix import PrivatePostfix
from support.processes import DaemonError, wait_until
from support.reading import tracking_links
from support.smtp_client import SmtpSession
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix


def test_stop_serves_open_sessions_to_their_end(running: Deployment, sink: SmtpSink) -> None:
    """SIGTERM while a client is between two messages: its next message is still tracked."""
    milter = running.installation.milter
    assert milter is not None
    first, second = messages.newsletter(), messages.newsletter()

    with SmtpSession(running.submission) as session:
        session.send(f"news@{DOMAIN}", messages.RECIPIENTS, first)
        milter.signal(signal.SIGTERM)
        wait_until(lambda: not _socket_of(running).exists(), 5, "the socket to go")
        result = session.send(f"news@{DOMAIN}", messages.RECIPIENTS, second)
    milter.wait(10)
    log = milter.log_text()
    running.installation.start_milter()

    assert result.accepted
    assert f"milter: stopped pid={milter.pid}" in log
    assert 7 == len(tracking_links(delivered(sink, second)))


def test_sessions_that_never_end_are_cut_between_two_messages(
    postfix: PrivatePostfix, dns_server: DnsServer, receiver: WebhookReceiver, sink: SmtpSink
) -> None:
    """The process's patience has an end, a message under way has its own: nothing is damaged.

    With default_action=accept, a milter that ends inside the replacement loses mail that Postfix
    has said 250 to (DESIGN 3.10).  The patience is a second here, the milter otherwise as it is.
    """
    with Installation() as installation:
        corrupt_before = postfix.corrupt_files()
        impatient = "import openclick_milter.main as m; m._STOP_SECONDS = 1.0; m.main()"
        python, *_ = installation.programs.milter
        installation.programs = dataclasses.replace(
            installation.programs, milter=(python, "-P", "-c", impatient)
        )
        running = deploy(installation, postfix, dns_server, receiver, name="cut")
        milter, stop = installation.milter, threading.Event()
        assert milter is not None
        clients = [Client(running, stop, keeps=True, per_session=100_000) for _ in range(3)]
        for client in clients:
            client.start()
        wait_until(lambda: all(len(client.sent) > 5 for client in clients), 20, "mail to flow")

        milter.signal(signal.SIGTERM)
        milter.wait(20)
        stop.set()
        for client in clients:
            client.join(30)
        sent = [raw for client in clients for raw in client.sent]
        arrived = sink.wait_for(len(sent), timeout=60)
        log = milter.log_text()

    assert "milter: open sessions are cut sessions=3 idle=yes" in log
    assert len(sent) == len(arrived)
    assert {0, 7} >= {len(tracking_links(message.content)) for message in arrived}
    assert corrupt_before == postfix.corrupt_files()


class TestSecondMilter:
    """Started by mistake beside one that serves."""

    def test_it_is_refused_in_one_line(self, running: Deployment) -> None:
        """Exit status 69; whoever it would have pushed aside would run on, unreachable."""
        installation = running.installation
        first = installation.milter

        with pytest.raises(DaemonError, match="another milter answers there; not started"):
            installation.start_milter()
        installation.milter = first

    def test_the_first_one_goes_on(self, running: Deployment, sink: SmtpSink) -> None:
        """Its socket is where it was."""
        _, arrived = submit(running, sink)

        assert 7 == len(tracking_links(arrived))


def test_heartbeat_and_counters_stand_in_the_store(running: Deployment, sink: SmtpSink) -> None:
    """The row names the running process and counts what it did."""
    assert running.installation.milter is not None
    submit(running, sink)

    reader = running.installation.store.message_reader()
    beat = wait_until(
        lambda: (
            (found := reader.maybe_heartbeat())
            and found.pid == running.installation.milter.pid
            and found.counters.get("instrumented", 0) > 0
            and found
        ),
        15,
        "a heartbeat that counts the mail",
    )
    reader.close()

    assert beat.counters["links"] == 7 * beat.counters["instrumented"]
    assert beat.started_at <= beat.beat_at


def _socket_of(deployment: Deployment) -> Path:
    return deployment.postfix.queue_dir / "process" / "milter.sock"
