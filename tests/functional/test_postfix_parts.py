"""Which part of a mail is instrumented, and which is left as it is, inside one real mail."""

import base64

import pytest

from support import messages
from support.deployment import Deployment
from support.fixtures import requires_private_postfix
from support.messages import part
from support.passage import marks, passed, row_of, undone
from support.smtp_sink import SmtpSink

pytestmark = requires_private_postfix

LINK = b"https://shop.kontor.example/one"
OTHER = b"https://shop.kontor.example/two"


def page(link: bytes, text: str = "Shop") -> str:
    """Return a small HTML document with one link."""
    href = link.decode("ascii").replace("&", "&amp;")
    return f'<html><body><p><a href="{href}">{text}</a></p></body></html>\n'


def html_part(link: bytes, **headers: str) -> bytes:
    """Return an HTML part in 7bit with one link."""
    content = page(link).replace("\n", "\r\n").encode()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return part("text/html; charset=us-ascii", content, fields)


def mail(entity: bytes, **headers: str) -> bytes:
    """Return a mail of this entity: the header of a newsletter, another body."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    head, _, _ = messages.html_only(headers=fields).partition(b"Content-Type:")
    return head + entity


class TestSeveralParts:
    """More than one thing that could be instrumented."""

    def test_two_html_parts(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Links of both are tracked, the one image stands in the first, the rest is as before."""
        raw = mail(messages.multipart("mixed", "two", html_part(LINK), html_part(OTHER)))

        sent, arrived = passed(deployment.submission, sink, raw)
        first, second = arrived.split(b"text/html", 2)[1:]
        row = row_of(deployment, sent.queue_id)

        assert raw == undone(arrived, [LINK, OTHER])
        assert ((1, 1), (0, 1)) == (marks(first), marks(second))
        assert [LINK.decode(), OTHER.decode()] == [link.destination for link in row.links]

    def test_attached_page(self, deployment: Deployment, sink: SmtpSink) -> None:
        """An attached .html file is byte-identical, the mail around it is tracked."""
        raw = messages.with_attachment(encoding="8bit")
        attached = raw[raw.index(b'Content-Type: text/html; charset=us-ascii; name="offer.html"') :]

        _, arrived = passed(deployment.submission, sink, raw)

        assert arrived.endswith(attached)
        assert (1, 8) == marks(arrived)

    @pytest.mark.parametrize(
        "disposition", ["attachment", "ATTACHMENT; filename=a.html", "x-unknown"]
    )
    def test_html_that_is_only_attached(
        self, deployment: Deployment, sink: SmtpSink, disposition: str
    ) -> None:
        """A mail whose only HTML is an attachment leaves byte for byte."""
        text = part("text/plain", b"See the file.\r\n")
        attached = html_part(LINK, Content_Disposition=disposition)
        raw = mail(messages.multipart("mixed", "att", text, attached))

        _, arrived = passed(deployment.submission, sink, raw)

        assert raw == arrived

    def test_inline_disposition(self, deployment: Deployment, sink: SmtpSink) -> None:
        """HTML with Content-Disposition inline is the mail's own text and is tracked."""
        raw = mail(messages.multipart("mixed", "in", html_part(LINK, Content_Disposition="inline")))

        _, arrived = passed(deployment.submission, sink, raw)

        assert (1, 1) == marks(arrived)
        assert raw == undone(arrived, [LINK])

    def test_amp_part(self, deployment: Deployment, sink: SmtpSink) -> None:
        """text/x-amp-html is byte-identical between the text and the tracked HTML."""
        amp = part("text/x-amp-html; charset=utf-8", page(OTHER).encode().replace(b"\n", b"\r\n"))
        text = part("text/plain", b"Shop\r\n")
        raw = mail(messages.multipart("alternative", "amp", text, amp, html_part(LINK)))

        _, arrived = passed(deployment.submission, sink, raw)

        assert amp in arrived
        assert raw == undone(arrived, [LINK])

    def test_page_with_its_picture(self, deployment: Deployment, sink: SmtpSink) -> None:
        """In multipart/related the picture and its cid: reference stay."""
        raw = messages.related(encoding="8bit")

        _, arrived = passed(deployment.submission, sink, raw)

        assert (1, 8) == marks(arrived)
        assert raw.partition(b"image/png")[2] == arrived.partition(b"image/png")[2]
        assert b'src="cid:logo"' in arrived


class TestForwarded:
    """Messages inside a message."""

    @pytest.mark.parametrize("kind", ["message/rfc822", "message/global"])
    def test_forwarded_as_attachment(
        self, deployment: Deployment, sink: SmtpSink, kind: str
    ) -> None:
        """The enclosed mail is byte-identical; the covering note is tracked."""
        enclosed = part(kind, messages.newsletter(encoding="8bit"))
        raw = mail(messages.multipart("mixed", "fwd", html_part(LINK), enclosed))

        _, arrived = passed(deployment.submission, sink, raw)

        assert enclosed in arrived
        assert (1, 1) == marks(arrived)
        assert raw == undone(arrived, [LINK])

    def test_only_an_enclosed_mail(self, deployment: Deployment, sink: SmtpSink) -> None:
        """A mail that is nothing but a forwarded one leaves byte for byte."""
        raw = mail(part("message/rfc822", messages.newsletter(encoding="8bit")))

        _, arrived = passed(deployment.submission, sink, raw)

        assert raw == arrived

    def test_digest(self, deployment: Deployment, sink: SmtpSink) -> None:
        """A digest's messages are byte-identical, whether their type is said or implied."""
        implied = b"\r\n" + messages.newsletter(encoding="8bit")
        said = part("message/rfc822", messages.newsletter(encoding="8bit"))
        raw = mail(messages.multipart("digest", "dig", implied, said))

        _, arrived = passed(deployment.submission, sink, raw)

        assert raw == arrived

    def test_enclosed_mail_with_the_same_boundary(
        self, deployment: Deployment, sink: SmtpSink
    ) -> None:
        """A forwarded mail whose boundary equals ours is told apart or left alone, never mixed."""
        enclosed = part("message/rfc822", mail(messages.multipart("mixed", "x", html_part(OTHER))))
        raw = mail(messages.multipart("mixed", "x", html_part(LINK), enclosed))

        _, arrived = passed(deployment.submission, sink, raw)

        assert raw in (arrived, undone(arrived, [LINK]), undone(arrived, [LINK, OTHER]))


class TestUnsubscribe:
    """What List-Unsubscribe names is no link to track."""

    @pytest.mark.parametrize(
        "value",
        [
            "<{0}>",
            "<mailto:leave@kontor.example>, <{0}>",
            "<{0}>,\r\n\t<mailto:leave@kontor.example?subject=leave>",
            "(web) <{0}> (or write)",
            "<\r\n {0}>",
        ],
        ids=["alone", "second", "folded", "comments", "folded inside"],
    )
    def test_target_is_left_alone(self, deployment: Deployment, sink: SmtpSink, value: str) -> None:
        """The link with the header's target stays, entities and all; its neighbour is tracked."""
        target = b"https://shop.kontor.example/leave?u=1&k=2"
        both = (page(target) + page(LINK)).replace("\n", "\r\n").encode()
        header = value.format(target.decode())
        raw = mail(part("text/html", both), List_Unsubscribe=header)

        sent, arrived = passed(deployment.submission, sink, raw)
        row = row_of(deployment, sent.queue_id)

        assert raw == undone(arrived, [LINK])
        assert [False, True] == [link.tracked for link in row.links]
        assert "unsubscribe" in row.links[0].reason

    def test_header_itself_stays(self, deployment: Deployment, sink: SmtpSink) -> None:
        """List-Unsubscribe and List-Unsubscribe-Post leave byte for byte (RFC 8058)."""
        raw = messages.newsletter(
            encoding="8bit", headers={"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
        )

        _, arrived = passed(deployment.submission, sink, raw)

        assert raw.partition(b"\r\n\r\n")[0] == arrived.partition(b"\r\n\r\n")[0]
        assert messages.UNSUBSCRIBE_LINK.encode() in arrived


class TestTransferEncodings:
    """Encodings that are odd, wrong or unknown."""

    @pytest.mark.parametrize("encoding", ["x-uuencode", "quoted-printabel", "7bit; x=y"])
    def test_unknown_encoding(self, deployment: Deployment, sink: SmtpSink, encoding: str) -> None:
        """An HTML part in an encoding that nobody knows leaves byte for byte."""
        raw = mail(html_part(LINK, Content_Transfer_Encoding=encoding))

        _, arrived = passed(deployment.submission, sink, raw)

        assert raw == arrived

    @pytest.mark.parametrize("width", [60, 76, 900])
    def test_base64_keeps_its_line_length(
        self, deployment: Deployment, sink: SmtpSink, width: int
    ) -> None:
        """Lines of an encoded part are as long as they were, and decode to the tracked page."""
        encoded = base64.b64encode((page(LINK) * 40).encode())
        lines = [encoded[at : at + width] for at in range(0, len(encoded), width)]
        fields = {"Content-Transfer-Encoding": "base64"}
        raw = mail(part("text/html", b"\r\n".join(lines) + b"\r\n", fields))

        _, arrived = passed(deployment.submission, sink, raw)
        head, _, body = arrived.partition(b"\r\n\r\n")
        decoded = base64.b64decode(body)

        assert raw.startswith(head)
        assert (1, 40) == marks(decoded)
        assert {width} == {len(line) for line in body.split(b"\r\n")[:-2]}
