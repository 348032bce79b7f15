"""What the milter does to mail, through a real Postfix."""

import re

import pytest

from openclick.messages import Outcome
from support import messages
from support.deployment import (
    DOMAIN,
    OFF_DOMAIN,
    UNVERIFIED_DOMAIN,
    Deployment,
    as_submitted,
    delivered,
)
from support.fixtures import requires_private_postfix
from support.messages import TransferEncoding
from support.processes import wait_until
from support.reading import fields_of, html_of, open_images, tracking_links
from support.smtp_client import SmtpSession, send
from support.smtp_sink import SmtpSink

pytestmark = requires_private_postfix

STRANGER = {"ADDR": "203.0.113.9", "NAME": "client.stranger.example"}


def deliver(deployment: Deployment, sink: SmtpSink, raw: bytes, **how: object) -> bytes:
    """Submit a mail and return it as it arrived."""
    listener = how.pop("listener", deployment.submission)
    sent = send(listener, f"news@{DOMAIN}", messages.RECIPIENTS, raw, **how)  # type: ignore[arg-type]
    assert sent.accepted, sent.text
    return delivered(sink, raw)


def control_fields(content: bytes) -> list[str]:
    """Name the control headers that a mail still carries."""
    return [name for name, _ in fields_of(content) if name.lower().startswith("x-anypost-")]


class TestDecision:
    """Header over domain default over off, and only when verified."""

    def test_headers_say_no_over_the_default(self, deployment: Deployment, sink: SmtpSink) -> None:
        """With both toggles off the body leaves byte for byte as it came, the toggles do not."""
        raw = messages.newsletter(
            headers={"X-Anypost-Track-Opens": "false", "x-anypost-track-clicks": "No"}
        )

        arrived = deliver(deployment, sink, raw)

        assert raw.partition(b"\r\n\r\n")[2] == arrived.partition(b"\r\n\r\n")[2]
        assert [] == control_fields(arrived)

    def test_one_header_switches_one_feature(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Opens off leaves the links tracked, and the other way round."""
        no_opens = messages.newsletter(headers={"X-Anypost-Track-Opens": "off"})
        no_clicks = messages.newsletter(headers={"X-Anypost-Track-Clicks": "0"})

        without_image = deliver(deployment, sink, no_opens)
        without_links = deliver(deployment, sink, no_clicks)

        assert (0, 7) == (len(open_images(without_image)), len(tracking_links(without_image)))
        assert (1, 0) == (len(open_images(without_links)), len(tracking_links(without_links)))

    def test_headers_say_yes_over_the_default(self, deployment: Deployment, sink: SmtpSink) -> None:
        """A domain whose defaults are off tracks the one message that asks for it."""
        plain = messages.newsletter(sender=f"a@{OFF_DOMAIN}")
        asking = messages.newsletter(
            sender=f"a@{OFF_DOMAIN}", headers={"X-Anypost-Track-Clicks": "true"}
        )

        untracked = deliver(deployment, sink, plain)
        tracked = deliver(deployment, sink, asking)

        assert plain == as_submitted(untracked)
        assert (0, 7) == (len(open_images(tracked)), len(tracking_links(tracked)))

    def test_a_value_that_is_no_toggle_counts_as_absent(
        self, deployment: Deployment, sink: SmtpSink
    ) -> None:
        """The default holds, the header goes, and the log names the value."""
        raw = messages.newsletter(headers={"X-Anypost-Track-Clicks": "perhaps"})

        arrived = deliver(deployment, sink, raw)

        assert 7 == len(tracking_links(arrived))
        assert [] == control_fields(arrived)
        assert "'perhaps' is neither true nor false" in deployment.milter_log()

    def test_unverified_domain_is_untouched(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Until the tracking domain is verified the mail leaves byte for byte as it came."""
        raw = messages.newsletter(
            sender=f"a@{UNVERIFIED_DOMAIN}", headers={"X-Anypost-Track-Clicks": "true"}
        )

        arrived = deliver(deployment, sink, raw)

        expected = raw.replace(b"X-Anypost-Track-Clicks: true\r\n", b"")
        assert expected == as_submitted(arrived)

    def test_domain_that_was_never_added_is_untouched(
        self, deployment: Deployment, sink: SmtpSink
    ) -> None:
        """The exact host of From counts: a subdomain of an added domain is another domain."""
        raw = messages.newsletter(sender=f"a@sub.{DOMAIN}")

        arrived = deliver(deployment, sink, raw)

        assert raw == as_submitted(arrived)

    def test_text_only_mail_is_untouched(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Only HTML is tracked; a mail without any leaves byte for byte as it came."""
        raw = messages.text_only()

        arrived = deliver(deployment, sink, raw)

        assert raw == as_submitted(arrived)

    def test_untouched_mail_of_an_added_domain_has_a_row_with_the_reason(
        self, deployment: Deployment, sink: SmtpSink
    ) -> None:
        """Why a mail was not tracked can be asked for afterwards, by its queue id."""
        raw = messages.text_only()

        sent = send(deployment.submission, f"news@{DOMAIN}", messages.RECIPIENTS, raw)
        assert sent.queue_id is not None
        reader = deployment.installation.store.message_reader()
        [row] = wait_until(lambda: reader.many_by_queue_id(str(sent.queue_id)), 5, "the row")
        reader.close()

        assert Outcome.UNTOUCHED is row.outcome
        assert "no HTML part" in row.reason
        assert (True, True) == (row.opens, row.clicks)


class TestTrust:
    """Whom to obey: DESIGN 3.1."""

    def test_stranger_is_not_obeyed(self, deployment: Deployment, sink: SmtpSink) -> None:
        """A client from the internet gets neither tracking nor its control headers removed."""
        raw = messages.newsletter(headers={"X-Anypost-Track-Clicks": "true"})

        arrived = deliver(deployment, sink, raw, listener=deployment.stranger, xclient=STRANGER)

        assert raw == as_submitted(arrived)

    def test_stranger_who_logs_in_is_obeyed(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Authentication makes a submission of any client's mail."""
        raw = messages.newsletter()

        arrived = deliver(
            deployment,
            sink,
            raw,
            listener=deployment.stranger,
            xclient=STRANGER | {"LOGIN": "app"},
        )

        assert 7 == len(tracking_links(arrived))

    def test_real_login_is_obeyed(self, deployment: Deployment, sink: SmtpSink) -> None:
        """AUTH PLAIN on the submission service tracks, a Received field notwithstanding."""
        raw = b"Received: from phone by gateway; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
        raw += messages.newsletter()

        arrived = deliver(deployment, sink, raw, listener=deployment.sasl, login=("app", "secret"))

        assert 7 == len(tracking_links(arrived))

    def test_strangers_mail_that_a_content_filter_hands_back_is_not_obeyed(
        self, deployment: Deployment, sink: SmtpSink
    ) -> None:
        """Over loopback, but received before: our key must not seal a stranger's link."""
        received = b"Received: from evil.example (203.0.113.9) by mx; x\r\n"
        raw = received + messages.newsletter(headers={"X-Anypost-Track-Clicks": "true"})

        arrived = deliver(deployment, sink, raw)

        assert arrived.endswith(raw)

    def test_sendmail_command_is_obeyed(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Mail from sendmail(1) is this machine's own."""
        raw = messages.newsletter()

        unix_lines = raw.replace(b"\r\n", b"\n")
        deployment.postfix.sendmail(["-f", f"news@{DOMAIN}", messages.RECIPIENTS[0]], unix_lines)
        arrived = delivered(sink, raw)

        assert 7 == len(tracking_links(arrived))


class TestEncodings:
    """The splice happens in the encoded domain, whatever the encoding is."""

    @pytest.mark.parametrize("encoding", ["7bit", "8bit", "quoted-printable", "base64"])
    def test_every_transfer_encoding_stays(
        self, deployment: Deployment, sink: SmtpSink, encoding: TransferEncoding
    ) -> None:
        """Seven links and the image are in; encoding, boundaries and text part are as before."""
        html = messages.NEWSLETTER_HTML
        if encoding == "7bit":
            html = html.encode("ascii", "xmlcharrefreplace").decode("ascii")
        text = "Plain text.\n" if encoding == "7bit" else messages.NEWSLETTER_TEXT
        raw = messages.newsletter(encoding=encoding, html=html, text=text)

        arrived = deliver(deployment, sink, raw, mail_options=["BODY=8BITMIME"])

        assert (1, 7) == (len(open_images(arrived)), len(tracking_links(arrived)))
        assert structure(raw) == structure(arrived)
        without = re.sub(r'<img src="http://track[^>]*>', "", html_of(arrived))
        assert re.sub(r"http://track\.\S+?(?=[\"'>])", "", without).count("https://shop") == 2


def structure(raw: bytes) -> list[bytes]:
    """Return the lines that make the MIME structure: boundaries and part headers."""
    return re.findall(rb"^(?:--\S+|Content-[A-Za-z-]+:[^\r]*)\r$", raw, re.MULTILINE)


class TestTransactions:
    """One connection, several messages; one message, several recipients."""

    def test_messages_of_one_session_are_told_apart(
        self, deployment: Deployment, sink: SmtpSink
    ) -> None:
        """A tracked, an untracked and a tracked message in one session do not mix."""
        first, last = messages.newsletter(), messages.newsletter()
        off = messages.newsletter(sender=f"a@{OFF_DOMAIN}")

        with SmtpSession(deployment.submission) as session:
            for raw in (first, off, last):
                session.send(f"news@{DOMAIN}", messages.RECIPIENTS, raw)

        assert 7 == len(tracking_links(delivered(sink, first)))
        assert off == as_submitted(delivered(sink, off))
        assert 7 == len(tracking_links(delivered(sink, last)))
        assert open_images(delivered(sink, first)) != open_images(delivered(sink, last))

    def test_several_recipients_share_one_row(self, deployment: Deployment, sink: SmtpSink) -> None:
        """With several recipients the row lists them all; no address stands in any URL."""
        everybody = ("anna@reader.example", "ben@reader.example")
        raw = messages.newsletter(recipients=everybody)

        sent = send(deployment.submission, f"news@{DOMAIN}", everybody, raw)
        arrived = delivered(sink, raw)
        reader = deployment.installation.store.message_reader()
        [row] = reader.many_by_queue_id(str(sent.queue_id))
        reader.close()

        assert everybody == row.recipients
        assert Outcome.INSTRUMENTED is row.outcome
        assert not any("reader" in url for url in tracking_links(arrived))

    def test_log_line_names_the_queue_id_first(
        self, deployment: Deployment, sink: SmtpSink
    ) -> None:
        """The admin finds a mail's line by the id that Postfix gave in its 250."""
        raw = messages.newsletter()
        sent = send(deployment.submission, f"news@{DOMAIN}", messages.RECIPIENTS, raw)
        delivered(sink, raw)

        log = deployment.milter_log()

        pattern = rf"info {sent.queue_id}: instrumented links=7 left=\d+ image=yes email_id=email_"
        assert re.search(pattern, log)
