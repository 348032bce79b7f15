"""Growth near Postfix's message_size_limit: a permanent 552 must never be our doing."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support import messages
from support.deployment import Deployment, as_submitted, deploy
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.messages import part
from support.passage import SENDER, arrivals, marks, message_id_of, passed, row_of, undone
from support.postfix import Listener, PrivatePostfix
from support.smtp_client import send
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

LIMIT = 1_000_000
ROOM = 3_000_000
LINKS = 150
HREF = b"https://shop.kontor.example/item"
SHORT, LONG = 76, 130
"""Widths of lines. In a queue file each line of over 127 bytes counts a byte more than in SMTP."""


@dataclass
class Sized:
    """A deployment and its listener, which takes messages up to LIMIT."""

    deployment: Deployment
    listener: Listener


def _sized(
    name: str, room: int, installation: Installation, postfix: PrivatePostfix, *world: object
) -> Sized:
    """Deploy with a milter and a cleanup that both allow `room` bytes."""
    milter = {"max_message_bytes": room}
    deployment = deploy(installation, postfix, *world, name=name, milter=milter)  # type: ignore[arg-type]
    service = f"{name}_cleanup unix n - n - 0 cleanup\n  -o message_size_limit={room}\n"
    postfix.add_service(service)
    options = {"message_size_limit": str(LIMIT), "cleanup_service_name": f"{name}_cleanup"}
    listener = postfix.add_listener(
        f"{name}-listener", f"unix:{name}/milter.sock", "accept", options=options
    )
    return Sized(deployment, listener)


@pytest.fixture(scope="module")
def tight(
    postfix: PrivatePostfix, dns_server: DnsServer, receiver: WebhookReceiver
) -> Iterator[Sized]:
    """Give a set-up in which Postfix and the milter have the same limit."""
    with Installation() as installation:
        yield _sized("tight", LIMIT, installation, postfix, dns_server, receiver)


@pytest.fixture(scope="module")
def roomy(
    postfix: PrivatePostfix, dns_server: DnsServer, receiver: WebhookReceiver
) -> Iterator[Sized]:
    """Give a set-up in which the cleanup behind the listener has room for the milter's growth."""
    with Installation() as installation:
        yield _sized("roomy", ROOM, installation, postfix, dns_server, receiver)


@pytest.fixture(scope="module")
def growth(roomy: Sized, sink: SmtpSink) -> int:
    """Return by how many bytes a mail of this module grows."""
    raw = mail_of(LIMIT // 2)
    _, arrived = passed(roomy.listener, sink, raw)
    return len(arrived) - len(raw)


def mail_of(size: int, header_bytes: int = 0, width: int = SHORT) -> bytes:
    """Return an HTML mail of this size, with LINKS links and text in lines of this width."""
    links = b"".join(b'<a href="%b">%d</a>\r\n' % (HREF, number) for number in range(LINKS))
    field = b"X-Filler: " + b"x" * 68 + b"\r\n"
    head, _, _ = messages.html_only().partition(b"Content-Type:")
    head += field * (header_bytes // len(field))
    begin, end = b"<html><body>\r\n" + links, b"</body></html>\r\n"
    missing = size - len(head + part("text/html; charset=us-ascii", begin + end))
    full, rest = divmod(missing - 2 * width, width)
    fillers = [width] * full + [width // 2 + rest // 2, width + width // 2 + rest - rest // 2]
    middle = b"".join(b"y" * (length - 2) + b"\r\n" for length in fillers)
    raw = head + part("text/html; charset=us-ascii", begin + middle + end)
    assert size == len(raw)
    return raw


class TestWithoutRoom:
    """Postfix's cleanup refuses what has grown past the limit: so the milter must not grow it."""

    # Nearer than 2,000 bytes Postfix 3.10 itself refuses: its own records count.
    @pytest.mark.parametrize("below", [2000, 5000, 10_000])
    def test_mail_that_would_grow_past_the_limit(
        self, tight: Sized, sink: SmtpSink, below: int
    ) -> None:
        """A mail a little below the limit is delivered byte for byte, and its row says why."""
        raw = mail_of(LIMIT - below)

        sent, arrived = passed(tight.listener, sink, raw)

        assert (raw == arrived) is True
        reason = row_of(tight.deployment, sent.queue_id).reason
        assert reason in {"message too large", "message would grow past the size limit"}

    def test_mail_with_room_to_grow(self, tight: Sized, sink: SmtpSink) -> None:
        """A mail that stays below the limit is tracked."""
        raw = mail_of(LIMIT // 2)

        _, arrived = passed(tight.listener, sink, raw)

        assert (1, LINKS) == marks(arrived)
        assert (raw == undone(arrived, [HREF] * LINKS)) is True

    @pytest.mark.parametrize("below", [500, 1500, 2000, 2200, 2500, 3000, 4000, 6000, 9000])
    @pytest.mark.parametrize(
        ("width", "recipients"),
        [(SHORT, 1), (LONG, 1), (SHORT, 100)],
        ids=["short lines", "long lines", "100 recipients"],
    )
    def test_mail_that_grows_to_just_below_the_limit(
        self, tight: Sized, sink: SmtpSink, growth: int, width: int, recipients: int, below: int
    ) -> None:
        """What Postfix adds counts too: the mail is delivered, tracked or not, never refused."""
        raw = mail_of(LIMIT - below - growth, width=width)
        everybody = [f"reader{number}@reader.example" for number in range(recipients)]

        sent = send(tight.listener, SENDER, everybody, raw)

        assert 250 == sent.code, sent.text
        arrived = as_submitted(_arrived(sink, raw, tight))
        assert (raw in (arrived, undone(arrived, [HREF] * LINKS))) is True

    @pytest.mark.parametrize("header_bytes", [5000, 20_000, 60_000])
    def test_large_header(
        self, tight: Sized, sink: SmtpSink, growth: int, header_bytes: int
    ) -> None:
        """A body that fits, below a header with which it does not, is delivered all the same."""
        size = min(LIMIT - growth + header_bytes - 3000, LIMIT - 3000)
        raw = mail_of(size, header_bytes)

        sent = send(tight.listener, SENDER, messages.RECIPIENTS, raw)

        assert 250 == sent.code, sent.text
        assert (raw == as_submitted(_arrived(sink, raw, tight))) is True

    def test_mail_above_the_limit(self, tight: Sized, sink: SmtpSink) -> None:
        """What was too large without us is refused as before."""
        raw = mail_of(LIMIT + 5000)

        sent = send(tight.listener, SENDER, messages.RECIPIENTS, raw)

        assert (552, "data") == (sent.code, sent.stage)
        assert [] == arrivals(sink, raw)


class TestWithRoom:
    """With a cleanup of its own the listener announces one limit and lets tracked mail pass it."""

    @pytest.mark.parametrize("below", [1000, 5000, 10_000])
    def test_mail_that_grows_past_the_limit(self, roomy: Sized, sink: SmtpSink, below: int) -> None:
        """It is tracked and delivered, larger than what the listener takes."""
        raw = mail_of(LIMIT - below)

        _, arrived = passed(roomy.listener, sink, raw)

        assert len(arrived) > LIMIT
        assert (1, LINKS) == marks(arrived)
        assert (raw == undone(arrived, [HREF] * LINKS)) is True

    @pytest.mark.parametrize("options", [[], [f"SIZE={LIMIT + 5000}"]])
    def test_mail_above_the_limit(self, roomy: Sized, sink: SmtpSink, options: list[str]) -> None:
        """What is too large before tracking is refused, at MAIL where its size is announced."""
        raw = mail_of(LIMIT + 5000)

        sent = send(roomy.listener, SENDER, messages.RECIPIENTS, raw, mail_options=options)

        assert (552, "mail" if options else "data") == (sent.code, sent.stage)
        assert [] == arrivals(sink, raw)


def _arrived(sink: SmtpSink, raw: bytes, sized: Sized) -> bytes:
    """Wait until the queue is empty; return the one arrival."""
    sized.deployment.postfix.wait_for_empty_queue()
    content, *others = arrivals(sink, raw)
    assert not set(others) - {content}, "not all recipients got the same"
    assert message_id_of(raw) in content
    return content
