"""Odd lines, odd ends, great sizes: all but our edits is as the same Postfix delivers it alone."""

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support import messages
from support.deployment import Deployment, as_submitted, delivered, deploy
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.messages import part
from support.passage import SENDER, marks, message_id_of, passed, row_of, undone
from support.postfix import Listener, PrivatePostfix
from support.smtp_client import SendResult
from support.smtp_sink import SmtpSink
from support.smtp_wire import SmtpWire
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

HREF = b"https://shop.kontor.example/item"
LINK = b'<a href="%b">Item</a>' % HREF
PAGE = b"<html><body>\r\n<p>" + LINK + b"</p>\r\n</body></html>\r\n"
HUGE_BYTES = 40_000_000
LONGEST_LINE = 998


@dataclass
class Lines:
    """A deployment of this module's own, and a listener of the same Postfix without a milter."""

    deployment: Deployment
    plain: Listener


@pytest.fixture(scope="module")
def lines(sink: SmtpSink, dns_server: DnsServer, receiver: WebhookReceiver) -> Iterator[Lines]:
    """Give a Postfix that takes 40 MB and sends long lines on as they are."""
    settings = {"smtp_line_length_limit": "0", "message_size_limit": str(HUGE_BYTES)}
    milter = {"max_message_bytes": HUGE_BYTES, "deadline_seconds": 20}
    with PrivatePostfix(sink.port, main_cf=settings) as postfix, Installation() as installation:
        deployment = deploy(installation, postfix, dns_server, receiver, milter=milter)
        yield Lines(deployment, postfix.add_listener("plain"))


def both_ways(lines: Lines, sink: SmtpSink, raw: bytes) -> tuple[SendResult, bytes, bytes]:
    """Submit a mail without and with the milter; return the 250 and both as they arrived."""
    _, alone = passed(lines.plain, sink, raw, mail_options=["BODY=8BITMIME"])
    sink.clear()
    sent, arrived = passed(lines.deployment.submission, sink, raw, mail_options=["BODY=8BITMIME"])
    return sent, alone, arrived


def mail(body: bytes, content_type: str = "text/html; charset=utf-8", **headers: str) -> bytes:
    """Return a mail of one 8bit part with this body."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    head, _, _ = messages.html_only(headers=fields).partition(b"Content-Type:")
    return head + part(content_type, body, {"Content-Transfer-Encoding": "8bit"})


class TestLongLines:
    """A line may have 998 bytes (RFC 5322): longer ones are no longer than they came."""

    @pytest.mark.parametrize("links", [1, 20])
    def test_line_that_is_too_long_already(self, lines: Lines, sink: SmtpSink, links: int) -> None:
        """Links on a line of more than 998 bytes are left with a reason; the next line's is not."""
        long_line = b"<p>" + b"y" * LONGEST_LINE + LINK * links + b"</p>\r\n"
        raw = mail(b"<html><body>\r\n" + long_line + LINK + b"\r\n</body></html>\r\n")

        sent, alone, arrived = both_ways(lines, sink, raw)
        row = row_of(lines.deployment, sent.queue_id)

        assert long_line in arrived
        assert (1, 1) == marks(arrived)
        assert alone == undone(arrived, [HREF])
        assert [False] * links + [True] == [link.tracked for link in row.links]
        assert {"line would be too long", ""} == {link.reason for link in row.links}

    def test_line_that_would_become_too_long(self, lines: Lines, sink: SmtpSink) -> None:
        """Links are tracked as long as their line has room; no line of ours passes 998 bytes."""
        body = b"<html><body>\r\n" + LINK * 15 + b"\r\n</body></html>\r\n"
        raw = mail(body)

        sent, alone, arrived = both_ways(lines, sink, raw)
        row = row_of(lines.deployment, sent.queue_id)
        tracked = sum(link.tracked for link in row.links)

        assert 0 < tracked < 15
        assert max(map(len, arrived.split(b"\r\n"))) <= LONGEST_LINE
        assert (1, tracked) == marks(arrived)
        assert alone == undone(arrived, [HREF] * tracked)

    def test_whole_page_on_one_line(self, lines: Lines, sink: SmtpSink) -> None:
        """A page that is one long line gets no tracking link; the image has a line of its own."""
        page = b"<html><body>" + b"<p>Text.</p>" * 200 + LINK + b"</body></html>\r\n"
        raw = mail(page)

        _, alone, arrived = both_ways(lines, sink, raw)
        longest = max(map(len, alone.split(b"\r\n")))

        assert (1, 0) == marks(arrived)
        assert longest >= max(map(len, arrived.split(b"\r\n")))
        assert alone.replace(b"\r\n", b"") == undone(arrived, []).replace(b"\r\n", b"")

    def test_very_long_line(self, lines: Lines, sink: SmtpSink) -> None:
        """A line of 200,000 bytes passes as it is, and what follows it is tracked."""
        begin, end = b"<html><body>\r\n", b"\r\n</body></html>\r\n"
        raw = mail(begin + b"x" * 200_000 + b"\r\n" + LINK + end)

        _, alone, arrived = both_ways(lines, sink, raw)

        assert (1, 1) == marks(arrived)
        assert alone == undone(arrived, [HREF])


class TestDots:
    """Dot-stuffing happens on both sides of us."""

    @pytest.mark.parametrize("dots", [b".", b"..", b"...", b".\r\n.\r\n..", b". ", b".</p>"])
    def test_dots_at_line_starts(self, lines: Lines, sink: SmtpSink, dots: bytes) -> None:
        """They are neither lost nor doubled, next to our edits or far from them."""
        raw = mail(b"<html><body>\r\n%b\r\n.%b\r\n%b\r\n</body></html>\r\n" % (dots, LINK, dots))

        _, alone, arrived = both_ways(lines, sink, raw)

        assert raw == alone
        assert (1, 1) == marks(arrived)
        assert alone == undone(arrived, [HREF])

    def test_dot_that_comes_to_a_line_start_by_our_doing(
        self, lines: Lines, sink: SmtpSink
    ) -> None:
        """Re-wrapped quoted-printable whose lines begin with dots decodes to the same page."""
        html = messages.NEWSLETTER_HTML.replace(
            "https://shop.kontor.example/account", "https://shop.kontor.example/" + "." * 300
        )
        raw = messages.newsletter(html=html)

        _, alone, arrived = both_ways(lines, sink, raw)

        assert raw == alone
        assert max(map(len, arrived.partition(b"\r\n\r\n")[2].split(b"\r\n"))) <= 76


class TestEnds:
    """How a message may end, or not begin."""

    @pytest.mark.parametrize("end", [b"", b"</html>", b"</body></html> \t", b"\r\n\r\n\r\n"])
    def test_body_without_final_newline(self, lines: Lines, sink: SmtpSink, end: bytes) -> None:
        """BDAT needs no line end: the mail is tracked, and ends as it does without us."""
        raw = mail(b"<html><body>\r\n<p>" + LINK + b"</p>" + end)

        alone = _by_bdat(lines.plain, sink, raw)
        sink.clear()
        arrived = _by_bdat(lines.deployment.submission, sink, raw)

        assert (1, 1) == marks(arrived)
        assert alone == undone(arrived, [HREF])

    def test_sendmail_without_final_newline(self, lines: Lines, sink: SmtpSink) -> None:
        """The same by sendmail(1), whose lines end in LF."""
        raw = mail(PAGE.rstrip())

        lines.deployment.postfix.sendmail(
            ["-f", SENDER, *messages.RECIPIENTS], raw.replace(b"\r\n", b"\n")
        )
        arrived = as_submitted(delivered(sink, raw))

        assert (1, 1) == marks(arrived)
        assert raw + b"\r\n" == undone(arrived, [HREF])

    def test_empty_body(self, lines: Lines, sink: SmtpSink) -> None:
        """An HTML mail without content leaves byte for byte."""
        raw = mail(b"")

        _, alone, arrived = both_ways(lines, sink, raw)

        assert alone == arrived

    @pytest.mark.parametrize("kind", ["text/html", "text/plain", "multipart/mixed; boundary=b"])
    def test_header_without_body(self, lines: Lines, sink: SmtpSink, kind: str) -> None:
        """A mail that ends with its header, without an empty line, leaves byte for byte."""
        raw = mail(b"", kind).removesuffix(b"\r\n")

        _, alone, arrived = both_ways(lines, sink, raw)

        assert alone == arrived

    def test_header_only_mail_loses_its_control_headers(self, lines: Lines, sink: SmtpSink) -> None:
        """Control headers go although there is no body."""
        raw = mail(b"", X_Anypost_Track_Opens="yes").removesuffix(b"\r\n")

        _, alone, arrived = both_ways(lines, sink, raw)

        assert alone.replace(b"X-Anypost-Track-Opens: yes\r\n", b"") == arrived

    def test_empty_message(self, lines: Lines, sink: SmtpSink) -> None:
        """A message without header and body goes out as it does without us."""
        with SmtpWire(lines.deployment.submission) as client:
            client.command(
                "EHLO app.kontor.example", f"MAIL FROM:<{SENDER}>", "RCPT TO:<a@reader.example>"
            )
            client.command("DATA")
            code, reply = client.say(b".\r\n")
        arrived = sink.wait_for(1)

        assert 250 == code, reply
        assert b"" == arrived[0].body_bytes.strip()


class TestBytes:
    """Bytes that do not belong into mail."""

    @pytest.mark.parametrize(
        "odd",
        [b"\x00", b"\x00" * 100, b"a\rb", b"\x01\x02\x7f\x80\xff", b"\x0b\x0c", b"\x85\xa0"],
        ids=["NUL", "many NULs", "bare CR", "controls", "VT FF", "C1"],
    )
    def test_odd_bytes_in_the_page(self, lines: Lines, sink: SmtpSink, odd: bytes) -> None:
        """They arrive as they do without us, around and between the edits."""
        body = b"<html><body>\r\n%b%b%b\r\n%b</body></html>\r\n" % (odd, LINK, odd, odd)
        raw = mail(body)

        _, alone, arrived = both_ways(lines, sink, raw)

        assert (1, 1) == marks(arrived)
        assert alone == undone(arrived, [HREF])

    def test_nul_inside_an_href(self, lines: Lines, sink: SmtpSink) -> None:
        """A link with a NUL is left as it is; its neighbour is tracked."""
        broken = b'<a href="https://shop.kontor.example/\x00x">x</a>'
        raw = mail(b"<html><body>\r\n" + broken + LINK + b"\r\n</body></html>\r\n")

        _, alone, arrived = both_ways(lines, sink, raw)

        assert broken in arrived
        assert alone == undone(arrived, [HREF])

    def test_bare_line_feeds(self, lines: Lines, sink: SmtpSink) -> None:
        """A client that ends lines with LF alone gets what it gets without us, and tracking."""
        raw = mail(b"<html><body>\n<p>" + LINK + b"</p>\n.\n</body></html>\n")

        _, alone, arrived = both_ways(lines, sink, raw)

        assert (1, 1) == marks(arrived)
        assert alone == undone(arrived, [HREF])


class TestGreat:
    """Many headers, large bodies."""

    def test_very_many_headers(self, lines: Lines, sink: SmtpSink) -> None:
        """Three thousand fields stay in their order; the row keeps the first twenty-five."""
        many = {f"X-Field-{number}": f"value {number}" for number in range(3000)}
        raw = messages.newsletter(headers=many)

        sent, alone, arrived = both_ways(lines, sink, raw)
        row = row_of(lines.deployment, sent.queue_id)

        assert alone.partition(b"\r\n\r\n")[0] == arrived.partition(b"\r\n\r\n")[0]
        assert b"X-Field-2999: value 2999\r\n" in arrived
        assert "instrumented" == row.outcome
        assert [f"x_field_{number}" for number in range(25)] == list(row.headers)

    def test_control_headers_among_very_many(self, lines: Lines, sink: SmtpSink) -> None:
        """A hundred control headers, scattered, all go; the last toggle wins."""
        raw = messages.newsletter()
        for number in range(100):
            word = b"no" if number else b"yes"  # the first to be put on top is the last to be read
            raw = b"X-Order: %d\r\nX-Anypost-Track-Opens: %b\r\n" % (number, word) + raw

        _, arrived = passed(lines.deployment.submission, sink, raw)

        assert b"X-Anypost" not in arrived
        assert (
            raw.replace(b"X-Anypost-Track-Opens: no\r\n", b"")
            .replace(b"X-Anypost-Track-Opens: yes\r\n", b"")
            .partition(b"\r\n\r\n")[0]
            == arrived.partition(b"\r\n\r\n")[0]
        )
        assert b"/o/" in arrived.replace(b"=\r\n", b"")

    def test_long_header_value(self, lines: Lines, sink: SmtpSink) -> None:
        """A field of 60,000 bytes in folded lines leaves as it came."""
        value = "\r\n ".join("x" * 70 for _ in range(850))
        raw = messages.newsletter(headers={"X-Long": value}, encoding="8bit")

        sent, alone, arrived = both_ways(lines, sink, raw)

        assert alone.partition(b"\r\n\r\n")[0] == arrived.partition(b"\r\n\r\n")[0]
        assert (1, 7) == marks(arrived)
        assert 256 == len(row_of(lines.deployment, sent.queue_id).headers["x_long"])

    def test_attachment_of_twenty_megabytes(self, lines: Lines, sink: SmtpSink) -> None:
        """The mail is tracked, and byte for byte the same outside the edits."""
        noise = random.Random(4711).randbytes(15_000_000)
        encoded = base64.encodebytes(noise).replace(b"\n", b"\r\n")
        fields = {
            "Content-Transfer-Encoding": "base64",
            "Content-Disposition": 'attachment; filename="noise.bin"',
        }
        attached = part("application/octet-stream", encoded, fields)
        page = part("text/html; charset=us-ascii", PAGE)
        head, _, _ = messages.html_only().partition(b"Content-Type:")
        raw = head + messages.multipart("mixed", "big", page, attached)

        _, arrived = passed(lines.deployment.submission, sink, raw)

        assert len(raw) > 20_000_000
        assert (1, 1) == marks(arrived[:5000])
        assert (raw == undone(arrived[:5000], [HREF]) + arrived[5000:]) is True

    def test_page_with_twenty_thousand_links(self, lines: Lines, sink: SmtpSink) -> None:
        """Every link is tracked, and the page is the same outside the edits."""
        raw = mail(b"<html><body>\r\n" + (LINK + b"\r\n") * 20_000 + b"</body></html>\r\n")

        sent, arrived = passed(lines.deployment.submission, sink, raw)
        row = row_of(lines.deployment, sent.queue_id)
        tracked = marks(arrived)[1]

        assert (raw == undone(arrived, [HREF] * tracked)) is True
        assert (20_000, "instrumented") == (tracked, row.outcome), row.reason


def _by_bdat(listener: Listener, sink: SmtpSink, raw: bytes) -> bytes:
    """Submit a mail by BDAT; return it as it arrived."""
    with SmtpWire(listener) as client:
        client.command(
            "EHLO app.kontor.example",
            f"MAIL FROM:<{SENDER}> BODY=8BITMIME",
            "RCPT TO:<anna@reader.example>",
        )
        code, reply = client.bdat(raw)
    assert 250 == code, reply
    assert message_id_of(raw)
    return as_submitted(delivered(sink, raw))
