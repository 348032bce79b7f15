"""Whose mail it is: odd From fields, odd envelopes, and what Postfix makes of a missing one."""

import pytest

from support import messages
from support.deployment import DOMAIN, OFF_DOMAIN, Deployment, as_submitted, delivered
from support.fixtures import requires_private_postfix
from support.passage import SENDER, message_id_of, passed, row_of
from support.reading import open_images, tracking_links
from support.smtp_sink import SmtpSink

pytestmark = requires_private_postfix

NOBODY = "bounce@mailer.example"
# An app elsewhere that has logged in.
APP = {"ADDR": "203.0.113.9", "NAME": "app.example", "LOGIN": "app"}
FROM_FIELD = b"From: Kontor Nord <news@kontor.example>\r\n"


def mail_from(field: str) -> bytes:
    """Return a newsletter with this From value."""
    return messages.newsletter(sender=field)


def counts(arrived: bytes) -> tuple[int, int]:
    """Count the open images and tracking links."""
    return len(open_images(arrived)), len(tracking_links(arrived))


TRACKED = {
    "bare address": "news@kontor.example",
    "upper case": "NEWS@KONTOR.EXAMPLE",
    "mixed case and a name": "Kontor <News@Kontor.Example>",
    "comment with another address": "news@kontor.example (a@leise.example)",
    "name that looks like another address": '"a@leise.example" <news@kontor.example>',
    "encoded word": "=?utf-8?q?K=C3=B6ntor?= <news@kontor.example>",
    "encoded word that holds an address": "=?utf-8?q?a=40leise=2Eexample?= <news@kontor.example>",
    "quoted local part": '"a@leise.example"@kontor.example',
    "comma in a quoted name": '"Nord, Kontor" <news@kontor.example>',
    "folded": "Kontor Nord\r\n\t<news@kontor.example>",
    "blanks inside the brackets": "Kontor < news@kontor.example >",
    "group of one": "Kontor: news@kontor.example;",
    "dot in a bare name": "Kontor Nord Inc. <news@kontor.example>",
    "address as a bare name": "news@kontor.example <news@kontor.example>",
    "brackets in a bare name": "[Kontor] News <news@kontor.example>",
}
NOT_TRACKED = {
    "subdomain": "news@sub.kontor.example",
    "longer name": "news@kontor.example.org",
    "name before an at sign": '"news@kontor.example" <a@leise.example>',
    "address in a comment only": "(news@kontor.example) a@leise.example",
    "domain literal": "news@[192.0.2.7]",
}


class TestFrom:
    """The single address of From decides, whoever the envelope sender is."""

    @pytest.mark.parametrize("case", TRACKED)
    def test_address_of_an_added_domain(
        self, deployment: Deployment, sink: SmtpSink, case: str
    ) -> None:
        """However the address is written, the mail is tracked and its From is as before."""
        raw = mail_from(TRACKED[case])

        sent, arrived = passed(deployment.submission, sink, raw, sender=NOBODY)

        assert (1, 7) == counts(arrived)
        assert raw.partition(b"\r\n\r\n")[0] == arrived.partition(b"\r\n\r\n")[0]
        assert DOMAIN == row_of(deployment, sent.queue_id).sending_domain

    @pytest.mark.parametrize("case", NOT_TRACKED)
    def test_address_of_another_domain(
        self, deployment: Deployment, sink: SmtpSink, case: str
    ) -> None:
        """What only looks like the added domain is not tracked, though the envelope names it."""
        raw = mail_from(NOT_TRACKED[case])

        _, arrived = passed(deployment.submission, sink, raw)

        assert raw == arrived


SEVERAL = {
    "two addresses": f"a@{DOMAIN}, b@{OFF_DOMAIN}",
    "two addresses of one domain": f"a@{DOMAIN}, b@{DOMAIN}",
    "group of two": f"Shops: a@{DOMAIN}, b@{OFF_DOMAIN};",
    "empty group": "Undisclosed senders:;",
    "no address": "Kontor Nord",
}


class TestSeveralOrNone:
    """With none or several addresses in From, the envelope sender decides."""

    @pytest.mark.parametrize("case", SEVERAL)
    def test_envelope_sender_of_a_tracked_domain(
        self, deployment: Deployment, sink: SmtpSink, case: str
    ) -> None:
        """The envelope's domain is on: tracked."""
        raw = mail_from(SEVERAL[case])

        _, arrived = passed(deployment.submission, sink, raw)

        assert (1, 7) == counts(arrived)

    @pytest.mark.parametrize("case", SEVERAL)
    @pytest.mark.parametrize("sender", [f"a@{OFF_DOMAIN}", NOBODY, ""])
    def test_envelope_sender_of_another_domain(
        self, deployment: Deployment, sink: SmtpSink, case: str, sender: str
    ) -> None:
        """The envelope's domain is off, unknown or absent: untouched."""
        raw = mail_from(SEVERAL[case])

        _, arrived = passed(deployment.submission, sink, raw, sender=sender)

        assert raw.partition(b"\r\n\r\n")[2] == arrived.partition(b"\r\n\r\n")[2]

    def test_two_from_fields(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Two From fields are two addresses."""
        raw = f"From: b@{OFF_DOMAIN}\r\n".encode() + mail_from(f"a@{DOMAIN}")

        _, untouched = passed(deployment.submission, sink, raw, sender=NOBODY)
        sink.clear()
        _, tracked = passed(deployment.submission, sink, raw)

        assert raw == untouched
        assert (1, 7) == counts(tracked)

    def test_no_from_field(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Without From the envelope sender decides, whether Postfix adds a From or not."""
        raw = messages.newsletter().replace(FROM_FIELD, b"")

        _, arrived = passed(deployment.submission, sink, raw)
        _, stranger = passed(
            deployment.stranger,
            sink,
            raw.replace(message_id_of(raw), b"<stranger@kontor.example>"),
            xclient=APP,
        )

        assert ((1, 7), (1, 7)) == (counts(arrived), counts(stranger))

    def test_no_from_field_and_the_null_sender(
        self, deployment: Deployment, sink: SmtpSink
    ) -> None:
        """A mail that names nobody at all goes out with its body as it came."""
        raw = messages.newsletter().replace(FROM_FIELD, b"")

        _, arrived = passed(deployment.submission, sink, raw, sender="")

        assert raw.partition(b"\r\n\r\n")[2] == arrived.partition(b"\r\n\r\n")[2]


class TestEnvelope:
    """Senders and recipients in the row."""

    def test_null_sender(self, deployment: Deployment, sink: SmtpSink) -> None:
        """With the sender <> the From field decides, and the row's sender is empty."""
        raw = messages.newsletter()

        sent, arrived = passed(deployment.submission, sink, raw, sender="")

        assert (1, 7) == counts(arrived)
        assert "" == row_of(deployment, sent.queue_id).sender

    def test_resent_fields(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Resent- fields of another domain decide nothing and leave as they came."""
        raw = (
            f"Resent-From: b@{OFF_DOMAIN}\r\nResent-To: carla@reader.example\r\n"
            "Resent-Date: Tue, 04 Nov 2025 11:00:00 +0000\r\n"
            "Resent-Message-ID: <again@leise.example>\r\n"
        ).encode() + messages.newsletter()

        _, arrived = passed(deployment.submission, sink, raw, sender=f"b@{OFF_DOMAIN}")

        assert (1, 7) == counts(arrived)
        assert raw.partition(b"\r\n\r\n")[0] == arrived.partition(b"\r\n\r\n")[0]

    def test_other_fields_with_addresses(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Sender, Reply-To and Return-Path of the tracked domain do not make it the sender."""
        headers = {"Sender": SENDER, "Reply-To": SENDER, "X-From": SENDER}
        raw = messages.newsletter(sender=f"a@{OFF_DOMAIN}", headers=headers)

        _, arrived = passed(deployment.submission, sink, raw)

        assert raw == arrived

    def test_bcc_by_sendmail(self, deployment: Deployment, sink: SmtpSink) -> None:
        """With sendmail -t all recipients of the header stand in the row; Bcc leaves the mail."""
        raw = messages.newsletter(headers={"Bcc": "carla@reader.example"})

        deployment.postfix.sendmail(["-t", "-f", SENDER], raw.replace(b"\r\n", b"\n"))
        content = delivered(sink, raw)
        [queue_id] = deployment.postfix.queue_ids(message_id_of(raw).decode("ascii"))
        row = row_of(deployment, queue_id)

        assert {"anna@reader.example", "carla@reader.example"} == set(row.recipients)
        assert b"carla" not in as_submitted(content)
        assert (1, 7) == counts(content)
