"""The milter on a TCP socket, for a Postfix that cannot reach a Unix one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from support import messages
from support.deployment import OFF_DOMAIN, Deployment, delivered, deploy
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.passage import SENDER, arrivals, marks, passed, row_of, undone
from support.postfix import Listener, PrivatePostfix
from support.processes import LOOPBACK, free_port
from support.reading import open_images, tracking_links
from support.smtp_client import SmtpSession, send
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

HREFS = [link.replace("&", "&amp;").encode() for link in messages.TRACKED_LINKS]


@dataclass
class Tcp:
    """A deployment whose milter listens on a port."""

    deployment: Deployment
    listener: Listener


@pytest.fixture(scope="module")
def tcp(postfix: PrivatePostfix, dns_server: DnsServer, receiver: WebhookReceiver) -> Iterator[Tcp]:
    """Give a deployment with milter.socket = inet:PORT@127.0.0.1."""
    port = free_port()
    milter = {"socket": f"inet:{port}@{LOOPBACK}"}
    with Installation() as installation:
        deployment = deploy(installation, postfix, dns_server, receiver, name="tcp", milter=milter)
        listener = postfix.add_listener("tcp-inet", f"inet:{LOOPBACK}:{port}", "tempfail")
        yield Tcp(deployment, listener)


def test_it_is_warned_about(tcp: Tcp) -> None:
    """Once, at start: the admin may not know what TCP costs."""
    log = tcp.deployment.milter_log()

    assert 1 == log.count("warning milter: a TCP socket costs 45 to 90 ms a message")


def test_tracks(tcp: Tcp, sink: SmtpSink) -> None:
    """A mail is tracked, byte-exact but for the edits, and has its row."""
    raw = messages.newsletter(encoding="8bit")

    sent, arrived = passed(tcp.listener, sink, raw)

    assert (1, 7) == marks(arrived)
    assert raw == undone(arrived, HREFS)
    assert "instrumented" == row_of(tcp.deployment, sent.queue_id).outcome


def test_several_messages_of_one_session(tcp: Tcp, sink: SmtpSink) -> None:
    """Tracked, untracked and tracked again, on one connection."""
    raws = [messages.newsletter(), messages.newsletter(sender=f"a@{OFF_DOMAIN}")] * 2
    raws = [raw.replace(b"Message-ID: <", b"Message-ID: <%d." % n) for n, raw in enumerate(raws)]

    with SmtpSession(tcp.listener) as session:
        for raw in raws:
            session.send(SENDER, messages.RECIPIENTS, raw)
    mails = [delivered(sink, raw) for raw in raws]

    assert [7, 0, 7, 0] == [len(tracking_links(mail)) for mail in mails]


def test_clients_side_by_side(tcp: Tcp, sink: SmtpSink) -> None:
    """Forty mails of eight clients each arrive once, tracked, with tokens of their own."""
    raws = [messages.newsletter() for _ in range(40)]

    with ThreadPoolExecutor(8) as pool:
        results = list(
            pool.map(lambda raw: send(tcp.listener, SENDER, messages.RECIPIENTS, raw), raws)
        )
    mails = [delivered(sink, raw) for raw in raws]

    assert all(result.accepted for result in results)
    assert {1} == {len(arrivals(sink, raw)) for raw in raws}
    assert 40 == len({open_images(mail)[0] for mail in mails})


def test_restart_on_the_same_port(tcp: Tcp, sink: SmtpSink) -> None:
    """After kill -9 mail is deferred, and after a start on the same port tracked again."""
    installation, raw = tcp.deployment.installation, messages.newsletter()
    assert installation.milter is not None

    installation.milter.kill9()
    refused = send(tcp.listener, SENDER, messages.RECIPIENTS, raw)
    installation.start_milter()
    _, arrived = passed(tcp.listener, sink, raw)

    assert 451 == refused.code
    assert 7 == len(tracking_links(arrived))
    assert 1 == len(arrivals(sink, raw))
