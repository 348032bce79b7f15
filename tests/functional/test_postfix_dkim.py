"""OpenDKIM behind our milter: it signs what we have made, so the signature fits what arrives."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support import messages, opendkim
from support.deployment import DOMAIN, OFF_DOMAIN, Deployment, as_submitted, delivered
from support.fixtures import requires_private_postfix
from support.messages import TransferEncoding
from support.opendkim import OpenDkim
from support.passage import SENDER, arrivals, passed, row_of
from support.postfix import Listener
from support.processes import wait_until
from support.reading import fields_of, open_images, tracking_links
from support.smtp_client import SmtpSession, send
from support.smtp_sink import SmtpSink

_missing = opendkim.unavailable_reason()

pytestmark = [
    requires_private_postfix,
    pytest.mark.skipif(_missing is not None, reason=_missing or ""),  # no OpenDKIM here to sign
]

BOTH = "unix:openclick/milter.sock, unix:dkim/opendkim.sock"


@dataclass
class Signed:
    """The shared deployment with the signer behind it."""

    deployment: Deployment
    listener: Listener
    signer: OpenDkim


@pytest.fixture(scope="module")
def signed(deployment: Deployment) -> Iterator[Signed]:
    """Give a listener, and sendmail(1), with both milters: ours first, then OpenDKIM."""
    postfix = deployment.postfix
    directory = postfix.milter_socket_dir(0, name="dkim")
    socket = directory / "opendkim.sock"
    with OpenDkim(deployment.installation.directory, socket, DOMAIN) as signer:
        listener = postfix.add_listener("dkim-submission", BOTH, "tempfail")
        postfix.configure(non_smtpd_milters=BOTH)
        yield Signed(deployment, listener, signer)
        postfix.configure(non_smtpd_milters="unix:openclick/milter.sock")


def signatures_of(content: bytes) -> int:
    """Count the DKIM-Signature fields."""
    return [name.lower() for name, _ in fields_of(content)].count("dkim-signature")


class TestTracked:
    """A mail that our milter has changed."""

    @pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
    def test_submission(self, signed: Signed, sink: SmtpSink, encoding: TransferEncoding) -> None:
        """The one signature is valid over the tracked body, whatever its encoding."""
        raw = messages.newsletter(encoding=encoding)

        _, arrived = passed(signed.listener, sink, raw, mail_options=["BODY=8BITMIME"])

        assert (1, 7) == (len(open_images(arrived)), len(tracking_links(arrived)))
        assert 1 == signatures_of(arrived)
        assert "True" == signed.signer.key.verify(arrived)

    def test_body_matters_to_the_verifier(self, signed: Signed, sink: SmtpSink) -> None:
        """The verifier of these tests finds a single changed byte."""
        raw = messages.newsletter(encoding="8bit")

        _, arrived = passed(signed.listener, sink, raw)
        spoiled = arrived.replace(b"jackets are back", b"jackets are Back", 1)

        assert arrived != spoiled
        assert "True" != signed.signer.key.verify(spoiled)

    def test_control_headers_are_gone_before_signing(self, signed: Signed, sink: SmtpSink) -> None:
        """A control header is neither in the mail nor in the signature."""
        raw = messages.newsletter(headers={"X-Anypost-Tags": "spring", "X-Order": "4711"})

        _, arrived = passed(signed.listener, sink, raw)

        assert b"x-anypost" not in arrived.lower()
        assert b"X-Order: 4711\r\n" in arrived
        assert "True" == signed.signer.key.verify(arrived)

    def test_sendmail_with_two_recipients(self, signed: Signed, sink: SmtpSink) -> None:
        """One queue file of sendmail(1) is tracked, signed once, and valid."""
        raw = messages.newsletter(encoding="8bit")
        everybody = ["anna@reader.example", "ben@reader.example"]

        unix_lines = raw.replace(b"\r\n", b"\n")
        signed.deployment.postfix.sendmail(["-f", SENDER, *everybody], unix_lines)
        content = delivered(sink, raw)

        assert (1, 7) == (len(open_images(content)), len(tracking_links(content)))
        assert 1 == signatures_of(content)
        assert "True" == signed.signer.key.verify(content)

    def test_lines_that_begin_with_a_dot(self, signed: Signed, sink: SmtpSink) -> None:
        """Dots at line starts survive both milters and the signature."""
        html = messages.NEWSLETTER_HTML.replace("<table", "\n.\n..two\n.<table", 1)
        raw = messages.newsletter(encoding="8bit", html=html)

        _, arrived = passed(signed.listener, sink, raw)

        assert b"\r\n.\r\n..two\r\n.<table" in arrived
        assert "True" == signed.signer.key.verify(arrived)

    def test_blank_lines_at_the_end(self, signed: Signed, sink: SmtpSink) -> None:
        """Empty lines at the end, which canonicalisation drops, do no harm."""
        raw = messages.html_only(encoding="8bit") + b"\r\n\r\n\r\n"

        _, arrived = passed(signed.listener, sink, raw)

        assert arrived.endswith(b"</html>\r\n\r\n\r\n\r\n")
        assert "True" == signed.signer.key.verify(arrived)

    def test_several_messages_of_one_session(self, signed: Signed, sink: SmtpSink) -> None:
        """Tracked, untracked, tracked: three valid signatures, none of them doubled."""
        raws = [messages.newsletter(), messages.text_only(), messages.newsletter()]

        with SmtpSession(signed.listener) as session:
            for raw in raws:
                session.send(SENDER, messages.RECIPIENTS, raw)
        mails = [delivered(sink, raw) for raw in raws]

        assert [1, 1, 1] == [signatures_of(mail) for mail in mails]
        assert ["True"] * 3 == [signed.signer.key.verify(mail) for mail in mails]
        assert ([7, 7], 0) == (
            [len(tracking_links(mails[i])) for i in (0, 2)],
            mails[1].count(b"/c/"),
        )


class TestOther:
    """Mail that only one of the two milters, or neither, has something to do with."""

    def test_domain_that_is_not_signed(self, signed: Signed, sink: SmtpSink) -> None:
        """A domain that is added with defaults off and has no key leaves byte for byte."""
        raw = messages.newsletter(sender=f"a@{OFF_DOMAIN}")

        _, arrived = passed(signed.listener, sink, raw)

        assert raw == arrived

    def test_mail_that_the_app_has_signed(self, signed: Signed, sink: SmtpSink) -> None:
        """A valid signature of the app's stays valid: body and covered headers are as they came."""
        names = ["from", "to", "subject", "x-anypost-topic"]
        plain = messages.newsletter(
            encoding="8bit", headers={"X-Anypost-Topic": "news", "X-Anypost-Track-Opens": "yes"}
        )
        raw = signed.signer.key.sign(plain, DOMAIN, names)

        sent, arrived = passed(signed.deployment.submission, sink, raw)

        assert "True" == signed.signer.key.verify(raw)
        assert "True" == signed.signer.key.verify(arrived)
        assert raw.replace(b"X-Anypost-Track-Opens: yes\r\n", b"") == arrived
        assert "DKIM" in row_of(signed.deployment, sent.queue_id).reason

    def test_signer_away(self, signed: Signed, sink: SmtpSink) -> None:
        """A second milter that cannot be reached costs a 451, and no mail goes out half done."""
        postfix = signed.deployment.postfix
        away = "unix:openclick/milter.sock, unix:dkim/nobody.sock"
        listener = postfix.add_listener("dkim-away", away, "tempfail")
        raw = messages.newsletter()

        refused = send(listener, SENDER, messages.RECIPIENTS, raw)
        again = send(signed.listener, SENDER, messages.RECIPIENTS, raw)
        wait_until(lambda: arrivals(sink, raw), 10, "the second try")
        postfix.wait_for_empty_queue()

        assert 451 == refused.code
        assert again.accepted
        assert 1 == len(arrivals(sink, raw))
        assert "True" == signed.signer.key.verify(as_submitted(arrivals(sink, raw)[0]))
