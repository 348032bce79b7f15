"""8BITMIME, SMTPUTF8 and header fields in no encoding at all."""

import pytest

from support import messages
from support.deployment import DOMAIN, Deployment, add_domain
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.passage import SENDER, marks, passed, row_of, undone
from support.reading import tracking_links
from support.smtp_sink import SinkMessage, SmtpSink

pytestmark = requires_private_postfix

U_LABEL, A_LABEL = "küche.example", "xn--kche-0ra.example"
UTF8 = ["SMTPUTF8", "BODY=8BITMIME"]
HREFS = [link.replace("&", "&amp;").encode() for link in messages.TRACKED_LINKS]


@pytest.fixture(scope="module")
def abroad(deployment: Deployment, dns_server: DnsServer) -> Deployment:
    """Give the shared deployment with a domain whose name is not ASCII."""
    add_domain(deployment.installation, dns_server, A_LABEL, "--opens", "--clicks")
    return deployment


def arrival(sink: SmtpSink, arrived: bytes) -> SinkMessage:
    """Return the message of the sink, with its envelope, that ends as `arrived` does."""
    [message] = [m for m in sink.messages if m.content.endswith(arrived)]
    return message


def field(name: bytes, value: bytes, raw: bytes) -> bytes:
    """Return `raw` with one more field on top, its value as it is."""
    return name + b": " + value + b"\r\n" + raw


class TestUtf8:
    """What RFC 6531 and 6532 allow."""

    @pytest.mark.parametrize("host", [U_LABEL, U_LABEL.upper(), A_LABEL, A_LABEL.upper()])
    def test_international_domain(self, abroad: Deployment, sink: SmtpSink, host: str) -> None:
        """A domain added by its A-label is found in From in either form, whatever the case."""
        raw = messages.newsletter(sender=f"Jörg <jörg@{host}>", encoding="8bit")

        sent, arrived = passed(
            abroad.submission, sink, raw, sender=f"jörg@{host}", mail_options=UTF8
        )
        row = row_of(abroad, sent.queue_id)

        assert (1, 7) == marks(arrived)
        assert raw == undone(arrived, HREFS)
        assert (A_LABEL, f"track.{A_LABEL}") == (row.sending_domain, row.tracking_domain)
        assert f"Jörg <jörg@{host}>" == row.header_from

    def test_international_local_parts(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Sender and recipient in UTF-8 stand in the row as they are; the mail goes out intact."""
        sender, recipient = f"grüße@{DOMAIN}", "δοκιμή@reader.example"
        raw = messages.newsletter(
            sender=f"Grüße <{sender}>", recipients=(recipient,), encoding="8bit"
        )

        sent, arrived = passed(
            deployment.submission,
            sink,
            raw,
            sender=sender,
            recipients=[recipient],
            mail_options=UTF8,
        )
        row = row_of(deployment, sent.queue_id)

        assert raw == undone(arrived, HREFS)
        assert ((recipient,), sender) == (row.recipients, row.sender)
        assert (sender, (recipient,)) == (
            arrival(sink, arrived).sender,
            arrival(sink, arrived).recipients,
        )
        assert "SMTPUTF8" in arrival(sink, arrived).mail_options

    def test_international_domain_that_was_never_added(
        self, deployment: Deployment, sink: SmtpSink
    ) -> None:
        """A UTF-8 mail of another domain leaves byte for byte as it came."""
        raw = messages.newsletter(sender="Jörg <jörg@müller.example>", encoding="8bit")

        _, arrived = passed(
            deployment.submission, sink, raw, sender="jörg@müller.example", mail_options=UTF8
        )

        assert raw == arrived

    @pytest.mark.parametrize("options", [UTF8, ["BODY=8BITMIME"]])
    def test_subject_in_raw_utf8(
        self, deployment: Deployment, sink: SmtpSink, options: list[str]
    ) -> None:
        """The subject goes out in its bytes, announced or not, and stands decoded in the row."""
        raw = messages.newsletter(headers={"Subject": "Jacken für Österreich – neu"})

        sent, arrived = passed(deployment.submission, sink, raw, mail_options=options)

        assert raw.partition(b"\r\n\r\n")[0] == arrived.partition(b"\r\n\r\n")[0]
        assert "Jacken für Österreich – neu" == row_of(deployment, sent.queue_id).subject
        assert 7 == len(tracking_links(arrived))

    def test_subject_in_encoded_words(self, deployment: Deployment, sink: SmtpSink) -> None:
        """A subject in several folded encoded words stands decoded, as one line, in the row."""
        subject = "Jacken für Österreich – neu und so lang, dass der Betreff gefaltet wird: äöü"
        raw = messages.newsletter(subject=subject)

        sent, arrived = passed(deployment.submission, sink, raw)

        assert b"\r\n =?utf-8?" in raw.partition(b"\r\n\r\n")[0]
        assert subject == row_of(deployment, sent.queue_id).subject
        assert raw.partition(b"\r\n\r\n")[0] == arrived.partition(b"\r\n\r\n")[0]


class TestEightBitMime:
    """BODY=8BITMIME and 8-bit bodies."""

    @pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252"])
    def test_body_stays_eight_bit(
        self, deployment: Deployment, sink: SmtpSink, charset: str
    ) -> None:
        """Every byte but the edits is as submitted, and the next hop is told of 8BITMIME."""
        raw = messages.newsletter(encoding="8bit", charset=charset)

        _, arrived = passed(deployment.submission, sink, raw, mail_options=["BODY=8BITMIME"])

        assert (1, 7) == marks(arrived)
        assert raw == undone(arrived, HREFS)
        assert "BODY=8BITMIME" in arrival(sink, arrived).mail_options

    def test_undeclared_eight_bit_body(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Without BODY= and with bytes that no declared charset holds, all but the edits stays."""
        raw = messages.newsletter(encoding="8bit").replace("€".encode(), b"\x80\xff\xfe")

        _, arrived = passed(deployment.submission, sink, raw)

        assert (1, 7) == marks(arrived)
        assert raw == undone(arrived, HREFS)


class TestRawHeaders:
    """Header values in 8-bit bytes that are not UTF-8."""

    @pytest.mark.parametrize(
        "name", [b"Subject", b"X-Comment", b"Comments", b"Reply-To", b"X-Mailer"]
    )
    def test_field_that_is_not_utf8(
        self, deployment: Deployment, sink: SmtpSink, name: bytes
    ) -> None:
        """The field leaves byte for byte, and the mail is tracked all the same."""
        value = b"Gr\xfc\xdfe \x80\xff <a@kontor.example>"
        raw = messages.newsletter(encoding="8bit")
        raw = raw.replace(b"Subject: ", name + b": " + value + b"\r\nX-Was-Subject: ", 1)

        sent, arrived = passed(deployment.submission, sink, raw)
        row = row_of(deployment, sent.queue_id)

        assert (1, 7) == marks(arrived)
        assert raw == undone(arrived, HREFS)
        assert "instrumented" == row.outcome

    def test_display_name_that_is_not_utf8(self, deployment: Deployment, sink: SmtpSink) -> None:
        """A From in Latin-1 still tells its domain."""
        raw = messages.newsletter(encoding="8bit").replace(b"Kontor Nord <", b"K\xf6ntor N\xf6rd <")

        sent, arrived = passed(deployment.submission, sink, raw, sender="bounce@other.example")

        assert (1, 7) == marks(arrived)
        assert raw == undone(arrived, HREFS)
        assert DOMAIN == row_of(deployment, sent.queue_id).sending_domain

    @pytest.mark.parametrize("control", [b"Track-Clicks", b"Track-Opens", b"Topic", b"Tags"])
    def test_control_header_that_is_not_utf8(
        self, deployment: Deployment, sink: SmtpSink, control: bytes
    ) -> None:
        """Its value counts for nothing and is logged; the mail is tracked by the defaults."""
        plain = messages.newsletter(encoding="8bit")
        name = b"X-Anypost-" + control
        raw = field(name, b"n\xf6", plain)

        sent, arrived = passed(deployment.submission, sink, raw)
        row = row_of(deployment, sent.queue_id)

        assert (1, 7) == marks(arrived)
        assert undone(arrived, HREFS) in (plain, raw)
        assert ((), None) == (row.labels.tags, row.labels.topic)
        said = deployment.milter_log().splitlines()
        assert [line for line in said if str(sent.queue_id) in line and "dropped" in line] or [
            line for line in said if str(sent.queue_id) in line and "ignored" in line
        ]

    def test_good_control_headers_beside_one_that_is_not_utf8(
        self, deployment: Deployment, sink: SmtpSink
    ) -> None:
        """One bad value among many fields does not stop the others from working and going."""
        plain = messages.newsletter(encoding="8bit")
        raw = field(b"X-Anypost-Topic", b"gr\xfcn", plain)
        raw = field(b"X-Anypost-Tags", b"spring", raw)
        raw = field(b"X-Anypost-Track-Opens", b"no", raw)

        sent, arrived = passed(deployment.submission, sink, raw)

        assert (0, 7) == marks(arrived)
        assert b"X-Anypost-Tags" not in arrived
        assert b"X-Anypost-Track-Opens" not in arrived
        assert ("spring",) == row_of(deployment, sent.queue_id).labels.tags

    def test_field_name_in_eight_bit(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Postfix ends the header at such a line; the mail goes out with every byte of it."""
        raw = messages.newsletter(encoding="8bit")
        raw = raw.replace(b"MIME-Version", b"X-Gr\xfc\xdfe: x\r\nMIME-Version", 1)

        _, arrived = passed(deployment.submission, sink, raw, sender=SENDER)

        assert raw == arrived.replace(b"\r\n\r\nX-Gr", b"\r\nX-Gr", 1)
