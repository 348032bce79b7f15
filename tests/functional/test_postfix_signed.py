"""Mail that any change would break leaves byte for byte as it was submitted."""

import pytest

from support import messages
from support.deployment import DOMAIN, Deployment, deploy
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.messages import part
from support.passage import passed, row_of
from support.postfix import PrivatePostfix
from support.reading import tracking_links
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

TOGGLES = {"X-Anypost-Track-Opens": "true", "X-Anypost-Topic": "news"}
PGP_MESSAGE = (
    "-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA1zTestsOnlyTestsOnly\r\n=Ab12\r\n"
    "-----END PGP MESSAGE-----\r\n"
)
PGP_SIGNED = (
    "-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\n"
    "- -- \r\nHello <https://shop.kontor.example/>\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\n"
    "iHUEABYKAB0WTestsOnly\r\n=AbCd\r\n-----END PGP SIGNATURE-----\r\n"
)
PAGE = '<html><body><a href="https://shop.kontor.example/">Shop</a></body></html>\n'


def mail(entity: bytes, **headers: str) -> bytes:
    """Return a mail of this entity: the header of a newsletter, another body."""
    head, _, _ = messages.html_only(headers=headers).partition(b"Content-Type:")
    return head + entity


def smime_signed() -> bytes:
    """multipart/signed with a detached S/MIME signature."""
    kind = 'signed; protocol="application/pkcs7-signature"; micalg=sha-256'
    page = messages.text_part("html", PAGE, "7bit", "us-ascii")
    signature = part(
        "application/pkcs7-signature; name=smime.p7s",
        b"MIIBTestsOnly==\r\n",
        {"Content-Transfer-Encoding": "base64"},
    )
    return messages.multipart(kind, "smime", page, signature)


def pgp_encrypted() -> bytes:
    """multipart/encrypted as RFC 3156 has it."""
    kind = 'encrypted; protocol="application/pgp-encrypted"'
    version = part("application/pgp-encrypted", b"Version: 1\r\n")
    content = part("application/octet-stream", PGP_MESSAGE.encode())
    return messages.multipart(kind, "pgp", version, content)


def smime_opaque(kind: str) -> bytes:
    """One CMS object, base64, as Outlook and others send it."""
    headers = {
        "Content-Transfer-Encoding": "base64",
        "Content-Disposition": 'attachment; filename="smime.p7m"',
    }
    return part(f'{kind}; smime-type=enveloped-data; name="smime.p7m"', b"MIIBTests\r\n", headers)


def inline_pgp_in_text() -> bytes:
    """An alternative whose text part is clear-signed."""
    text = part("text/plain; charset=utf-8", PGP_SIGNED.encode())
    page = messages.text_part("html", PAGE, "7bit", "us-ascii")
    return messages.multipart("alternative", "alt", text, page)


def inline_pgp_in_html() -> bytes:
    """HTML around an armoured message."""
    armour = PGP_MESSAGE.replace("\r\n", "\n")
    html = f"<html><body><pre>\n{armour}</pre>{PAGE}</body></html>\n"
    return messages.text_part("html", html, "quoted-printable", "utf-8")


def inline_pgp_behind_a_tag() -> bytes:
    """HTML of a webmail whose every line is a <div>."""
    lines = "".join(f"<div>{line}</div>" for line in PGP_MESSAGE.split("\r\n"))
    html = f"<html><body>{lines}{PAGE}</body></html>\n"
    return messages.text_part("html", html, "quoted-printable", "utf-8")


def signed_deep_inside() -> bytes:
    """A mailing list's footer, an HTML part, beside the signed content."""
    footer = messages.text_part("html", PAGE, "7bit", "us-ascii")
    return messages.multipart("mixed", "list", smime_signed(), footer)


ENTITIES = {
    "S/MIME": (smime_signed(), "signed"),
    "multipart/encrypted": (pgp_encrypted(), "encrypted"),
    "application/pkcs7-mime": (smime_opaque("application/pkcs7-mime"), "S/MIME"),
    "application/x-pkcs7-mime": (smime_opaque("application/x-pkcs7-mime"), "S/MIME"),
    "inline PGP in text": (inline_pgp_in_text(), "inline PGP"),
    "inline PGP in HTML": (inline_pgp_in_html(), "inline PGP"),
    "inline PGP behind a tag": (inline_pgp_behind_a_tag(), "inline PGP"),
}


class TestSignedOrEncrypted:
    """Signed and encrypted content."""

    @pytest.mark.parametrize("case", ENTITIES)
    def test_leaves_as_it_came(self, deployment: Deployment, sink: SmtpSink, case: str) -> None:
        """Headers and body are byte-identical, and the row tells the reason."""
        entity, reason = ENTITIES[case]
        raw = mail(entity)

        sent, arrived = passed(deployment.submission, sink, raw)

        assert raw == arrived
        assert reason in row_of(deployment, sent.queue_id).reason

    @pytest.mark.parametrize("case", ENTITIES)
    def test_control_headers_go_and_nothing_else(
        self, deployment: Deployment, sink: SmtpSink, case: str
    ) -> None:
        """A mail that asks for tracking loses the request alone."""
        raw = mail(ENTITIES[case][0], **TOGGLES)

        _, arrived = passed(deployment.submission, sink, raw)

        without = raw.replace(b"X-Anypost-Track-Opens: true\r\nX-Anypost-Topic: news\r\n", b"")
        assert without == arrived

    def test_pgp_mime(self, deployment: Deployment, sink: SmtpSink) -> None:
        """A newsletter inside multipart/signed (PGP) is byte-identical."""
        raw = messages.signed(encoding="8bit")

        _, arrived = passed(deployment.submission, sink, raw)

        assert raw == arrived

    def test_signed_part_inside_mixed(self, deployment: Deployment, sink: SmtpSink) -> None:
        """What stands inside a nested multipart/signed is byte-identical."""
        raw = mail(signed_deep_inside())

        _, arrived = passed(deployment.submission, sink, raw)

        assert smime_signed() in arrived

    def test_words_that_only_look_like_pgp(self, deployment: Deployment, sink: SmtpSink) -> None:
        """A newsletter that mentions BEGIN PGP in the middle of a line is tracked."""
        html = PAGE.replace("Shop", "what &quot;-----BEGIN PGP MESSAGE-----&quot; means")
        raw = messages.html_only(html=html)

        _, arrived = passed(deployment.submission, sink, raw)

        assert 1 == len(tracking_links(arrived))


SIGNATURE = (
    "v=1; a=rsa-sha256; c=relaxed/simple; d=kontor.example; s=one;\r\n\tt=1764000000; "
    "h={names};\r\n\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=dGVzdHMgb25seQ=="
)


class TestDkimSigned:
    """Mail that the app has signed already."""

    def test_leaves_as_it_came(self, deployment: Deployment, sink: SmtpSink) -> None:
        """Headers and body are byte-identical, and the row tells the reason."""
        signature = SIGNATURE.format(names="From:To:Subject")
        raw = messages.newsletter(headers={"DKIM-Signature": signature})

        sent, arrived = passed(deployment.submission, sink, raw)

        assert raw == arrived
        assert "DKIM" in row_of(deployment, sent.queue_id).reason

    @pytest.mark.parametrize(
        "names",
        [
            "From:To:Subject:X-Anypost-Topic",
            "from : to : x-anypost-topic",
            "From:To:Subject:\r\n X-ANYPOST-TOPIC",
        ],
        ids=["plain", "lower case and blanks", "folded between names"],
    )
    def test_covered_control_header_stays(
        self, deployment: Deployment, sink: SmtpSink, names: str
    ) -> None:
        """A field that h= lists stays, one that it does not list goes; the topic counts all the
        same.
        """
        headers = {"DKIM-Signature": SIGNATURE.format(names=names)} | TOGGLES
        raw = messages.newsletter(headers=headers)

        sent, arrived = passed(deployment.submission, sink, raw)

        assert raw.replace(b"X-Anypost-Track-Opens: true\r\n", b"") == arrived
        assert "news" == row_of(deployment, sent.queue_id).labels.topic

    def test_second_signature_counts_too(self, deployment: Deployment, sink: SmtpSink) -> None:
        """With two signatures a control header stays that either of them covers."""
        first = SIGNATURE.format(names="From:X-Anypost-Topic")
        second = SIGNATURE.format(names="From:Date:X-Anypost-Track-Opens")
        raw = messages.newsletter(headers={"DKIM-Signature": first} | TOGGLES)
        raw = f"DKIM-Signature: {second}\r\n".encode() + raw

        _, arrived = passed(deployment.submission, sink, raw)

        assert raw == arrived

    def test_untracked_domain_with_a_covered_control_header(
        self, deployment: Deployment, sink: SmtpSink
    ) -> None:
        """A covered field stays in mail of a domain that was never added, too."""
        headers = {"DKIM-Signature": SIGNATURE.format(names="From:X-Anypost-Topic")} | TOGGLES
        raw = messages.newsletter(sender=f"a@sub.{DOMAIN}", headers=headers)

        _, arrived = passed(deployment.submission, sink, raw)

        assert raw.replace(b"X-Anypost-Track-Opens: true\r\n", b"") == arrived


class TestSignedMailIsInstrumented:
    """`milter.instrument_signed`: a signer behind OpenClick replaces the signature."""

    def test_links_are_tracked_and_covered_headers_stay(
        self,
        postfix: PrivatePostfix,
        dns_server: DnsServer,
        receiver: WebhookReceiver,
        sink: SmtpSink,
    ) -> None:
        """Signed mail is tracked like any other; S/MIME stays as it is all the same."""
        headers = {"DKIM-Signature": SIGNATURE.format(names="From:X-Anypost-Topic")} | TOGGLES
        signed, smime = messages.newsletter(headers=headers), mail(smime_signed())
        with Installation() as installation:
            milter = {"instrument_signed": True}
            own = deploy(installation, postfix, dns_server, receiver, "signed", milter=milter)

            sent, arrived = passed(own.submission, sink, signed)
            _, left = passed(own.submission, sink, smime)
            row = row_of(own, sent.queue_id)

        assert 7 == len(tracking_links(arrived))
        assert b"\r\nX-Anypost-Topic: news\r\n" in arrived
        assert b"X-Anypost-Track-Opens" not in arrived
        assert "instrumented" == row.outcome
        assert smime == left
