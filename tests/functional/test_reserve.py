"""A disk at its reserve: nothing of ours grows into the room that retention works in.

The real daemons on a small file system, filled to below `store.reserve_bytes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from support import messages
from support.deployment import BROWSER, DOMAIN, Deployment, as_submitted, delivered, deploy
from support.disks import memory_disk
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.http_client import fetch
from support.installation import Installation
from support.postfix import PrivatePostfix
from support.processes import wait_until
from support.reading import tracking_links
from support.smtp_client import send
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

MEBIBYTE = 1_048_576
RESERVE_BYTES = 8 * MEBIBYTE
TOO_LITTLE = f"fewer than {RESERVE_BYTES} bytes are free"


@pytest.fixture
def narrow(
    postfix: PrivatePostfix, dns_server: DnsServer, receiver: WebhookReceiver
) -> Iterator[Deployment]:
    """Give a deployment whose store lies on a small disk of its own, the journal elsewhere."""
    with (
        Installation() as installation,
        memory_disk(installation.directory / "disk", 64 * MEBIBYTE) as disk,
    ):
        installation.state = disk / "state"
        journal = installation.directory / "journal"
        store = {
            "url": f"sqlite:{installation.state}",
            "journal_directory": str(journal),
            "reserve_bytes": RESERVE_BYTES,
        }
        yield deploy(installation, postfix, dns_server, receiver, "narrow", store=store)


def submit(deployment: Deployment, sink: SmtpSink) -> tuple[bytes, bytes]:
    """Submit a newsletter; return it as it was sent and as it arrived."""
    raw = messages.newsletter()
    sent = send(deployment.submission, f"news@{DOMAIN}", messages.RECIPIENTS, raw)
    assert sent.accepted, sent.text
    return raw, delivered(sink, raw)


def test_at_the_reserve_mail_flows_and_links_work(
    narrow: Deployment, sink: SmtpSink, receiver: WebhookReceiver
) -> None:
    """Mail goes out untouched, clicks are answered and kept; with room both are made up for."""
    _, before = submit(narrow, sink)
    link = tracking_links(before)[0]
    filler = narrow.installation.state.parent / "filler"
    filler.write_bytes(bytes(57 * MEBIBYTE))

    raw, untouched = wait_until(lambda: _untouched(narrow, sink), 30, "a full disk", 0.2)
    answer = fetch(link, narrow.peer, {"User-Agent": BROWSER})
    wait_until(lambda: "hits: go to the journal" in narrow.sidecar_log(), 30, "the journal", 0.2)
    kept = list((narrow.installation.directory / "journal").glob("*.journal"))
    delivered_events = len(receiver.posts)
    filler.unlink()
    tracked = wait_until(lambda: _tracked(narrow, sink), 30, "tracked mail", 0.2)
    wait_until(lambda: len(receiver.posts) > delivered_events, 60, "the click's event", 0.2)

    assert raw == as_submitted(untouched)
    assert re.search(rf"untouched reason=.*{TOO_LITTLE}", narrow.milter_log())
    assert 302 == answer.status
    assert kept
    assert 7 == len(tracked)


def _untouched(deployment: Deployment, sink: SmtpSink) -> tuple[bytes, bytes] | None:
    """Submit a mail; return it where it has passed as it came."""
    raw, arrived = submit(deployment, sink)
    return None if tracking_links(arrived) else (raw, arrived)


def _tracked(deployment: Deployment, sink: SmtpSink) -> list[str]:
    """Submit a mail; return its tracking links."""
    return tracking_links(submit(deployment, sink)[1])
