"""Realistic raw mails, written byte by byte.

Who calls: tests of every kind, the demo and the bench. Promises: bytes with CRLF, equal for equal
arguments but for the Message-ID (pass one where that matters); the email package is not used to
build, so it can serve as an independent reader. Sending is `support.smtp_client`, offered here too.
"""

import base64
import quopri
from collections.abc import Mapping
from email.header import Header
from typing import Literal, TypedDict, Unpack
from uuid import uuid4

from support.smtp_client import SendResult, SmtpSession, send

__all__ = [
    "NEWSLETTER_HTML",
    "NEWSLETTER_TEXT",
    "TRACKED_LINKS",
    "UNSUBSCRIBE_LINK",
    "UNTRACKED_LINKS",
    "Fields",
    "SendResult",
    "SmtpSession",
    "TransferEncoding",
    "html_only",
    "multipart",
    "newsletter",
    "part",
    "related",
    "send",
    "signed",
    "text_only",
    "text_part",
    "with_attachment",
]

TransferEncoding = Literal["7bit", "8bit", "quoted-printable", "base64"]

SENDER = "Kontor Nord <news@kontor.example>"
RECIPIENTS = ("anna@reader.example",)
DATE = "Tue, 04 Nov 2025 10:00:00 +0000"

# What a click on each link of NEWSLETTER_HTML must lead to, in order of appearance.
TRACKED_LINKS = (
    "https://shop.kontor.example/",
    "https://shop.kontor.example/jackets?utm_source=newsletter&utm_medium=email",
    "https://shop.kontor.example/boots#sizes",
    "http://blog.kontor.example/2025/11/how-to-wax-a-jacket",
    "https://shop.kontor.example/gift%20cards",
    "https://www.social.example/@kontor",
    "https://shop.kontor.example/account",
)
# What no tracking may touch: unsubscribe, opt-out, mailto, tel, anchor.
UNTRACKED_LINKS = (
    "#offers",
    "mailto:hello@kontor.example?subject=Question",
    "tel:+494212345",
    "https://shop.kontor.example/privacy",
    "https://shop.kontor.example/unsubscribe?u=81f3",
)
UNSUBSCRIBE_LINK = UNTRACKED_LINKS[-1]

NEWSLETTER_HTML = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta http-equiv="Content-Type" content="text/html">
<title>November at Kontor Nord</title>
<style>a { color: #0b5; } td > a:hover { color: #083; }</style>
</head>
<body bgcolor="#ffffff">
<!-- preview: jackets, boots and a note on wax -->
<table width="600" cellpadding="0" cellspacing="0">
<tr><td><a href="https://shop.kontor.example/"><img src="https://cdn.kontor.example/logo.png" \
alt="Kontor Nord" width="120" height="40"></a></td></tr>
<tr><td><h1>Café weather – jackets are back</h1>
<p>Straight to <a href="#offers">the offers</a>, or to \
<a href="https://shop.kontor.example/jackets?utm_source=newsletter&amp;utm_medium=email" \
style="font-weight:bold">all jackets</a>.</p>
<p id="offers"><a href='https://shop.kontor.example/boots#sizes'>Boots from 36 to 48</a><br>
<A HREF="http://blog.kontor.example/2025/11/how-to-wax-a-jacket">How to wax a jacket</A><br>
<a target="_blank" href="https://shop.kontor.example/gift%20cards">Gift cards</a> from 10 €</p>
</td></tr>
<tr><td>
<p>Questions? <a href="mailto:hello@kontor.example?subject=Question">Write to us</a>, \
<a href="tel:+494212345">call us</a>, or find us on \
<a href=https://www.social.example/@kontor>social media</a>.</p>
<p><a href="https://shop.kontor.example/account">Your account</a> · \
<a href="https://shop.kontor.example/privacy" data-openclick="off">Privacy</a> · \
<a href="https://shop.kontor.example/unsubscribe?u=81f3">Unsubscribe</a></p>
</td></tr>
</table>
</body>
</html>
"""
NEWSLETTER_TEXT = """\
November at Kontor Nord

Café weather – jackets are back: https://shop.kontor.example/jackets

Unsubscribe: https://shop.kontor.example/unsubscribe?u=81f3
"""

# A valid PNG of one pixel and the smallest thing that calls itself a PDF.
_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJg"
    "gg=="
)
_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
_SIGNATURE = """\
-----BEGIN PGP SIGNATURE-----

iHUEABYKAB0WIQTestsOnlyTestsOnlyTestsOnlyTestsOnlyFAmkJAAAKCRDtestsonly
=AbCd
-----END PGP SIGNATURE-----
"""


class Fields(TypedDict, total=False):
    """What every builder takes besides its content."""

    sender: str
    recipients: tuple[str, ...]
    subject: str
    message_id: str
    headers: Mapping[str, str]


def newsletter(
    *,
    encoding: TransferEncoding = "quoted-printable",
    charset: str = "utf-8",
    html: str = NEWSLETTER_HTML,
    text: str = NEWSLETTER_TEXT,
    **fields: Unpack[Fields],
) -> bytes:
    """multipart/alternative of text and HTML, with List-Unsubscribe."""
    return _message(_alternative(encoding, charset, html, text), fields, bulk=True)


def text_only(
    *,
    text: str = NEWSLETTER_TEXT,
    encoding: TransferEncoding = "quoted-printable",
    charset: str = "utf-8",
    **fields: Unpack[Fields],
) -> bytes:
    """A single text/plain part."""
    return _message(text_part("plain", text, encoding, charset), fields)


def html_only(
    *,
    html: str = NEWSLETTER_HTML,
    encoding: TransferEncoding = "quoted-printable",
    charset: str = "utf-8",
    **fields: Unpack[Fields],
) -> bytes:
    """A single text/html part."""
    return _message(text_part("html", html, encoding, charset), fields)


def signed(
    *,
    encoding: TransferEncoding = "quoted-printable",
    charset: str = "utf-8",
    html: str = NEWSLETTER_HTML,
    text: str = NEWSLETTER_TEXT,
    **fields: Unpack[Fields],
) -> bytes:
    """multipart/signed around the newsletter; the signature is only signature-shaped."""
    signature = part("application/pgp-signature; name=signature.asc", _crlf(_SIGNATURE))
    kind = 'signed; micalg=pgp-sha256; protocol="application/pgp-signature"'
    inner = _alternative(encoding, charset, html, text)
    return _message(multipart(kind, "sig", inner, signature), fields)


def with_attachment(
    *,
    encoding: TransferEncoding = "quoted-printable",
    charset: str = "utf-8",
    html: str = NEWSLETTER_HTML,
    text: str = NEWSLETTER_TEXT,
    **fields: Unpack[Fields],
) -> bytes:
    """multipart/mixed of the newsletter, a PDF, and an HTML file that is an attachment."""
    page = part(
        'text/html; charset=us-ascii; name="offer.html"',
        b'<html><body><a href="https://shop.kontor.example/offer">Offer</a></body></html>\r\n',
        {"Content-Disposition": 'attachment; filename="offer.html"'},
    )
    inner = _alternative(encoding, charset, html, text)
    return _message(multipart("mixed", "mix", inner, _file("pdf", _PDF), page), fields)


def related(
    *,
    encoding: TransferEncoding = "quoted-printable",
    charset: str = "utf-8",
    html: str = NEWSLETTER_HTML.replace("https://cdn.kontor.example/logo.png", "cid:logo"),
    **fields: Unpack[Fields],
) -> bytes:
    """multipart/related of HTML and the picture it shows."""
    picture = part(
        'image/png; name="logo.png"',
        _base64_lines(_PNG),
        {
            "Content-Transfer-Encoding": "base64",
            "Content-ID": "<logo>",
            "Content-Disposition": "inline",
        },
    )
    page = text_part("html", html, encoding, charset)
    return _message(multipart('related; type="text/html"', "rel", page, picture), fields)


def text_part(subtype: str, text: str, encoding: TransferEncoding, charset: str) -> bytes:
    """Return one text part with its own header fields.

    What the charset cannot say becomes a character reference in HTML, a question mark in text.
    """
    errors = "xmlcharrefreplace" if subtype == "html" else "replace"
    raw = text.encode("ascii" if encoding == "7bit" else charset, errors)
    return part(
        f"text/{subtype}; charset={charset}",
        _encoded(raw, encoding),
        {"Content-Transfer-Encoding": encoding},
    )


def multipart(kind: str, boundary: str, *parts: bytes) -> bytes:
    """Return a multipart entity of this subtype (with further parameters, if any)."""
    mark = f"=_{boundary}_6c62272e07bb"
    opened = b"".join(b"--%s\r\n%s\r\n" % (mark.encode("ascii"), body) for body in parts)
    return part(f'multipart/{kind}; boundary="{mark}"', opened + f"--{mark}--\r\n".encode())


def part(content_type: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """Return header fields, an empty line and the body as it is."""
    fields = {"Content-Type": content_type} | dict(headers or {})
    return _field_lines(fields) + b"\r\n" + body


def _message(entity: bytes, fields: Fields, bulk: bool = False) -> bytes:
    sender = fields.get("sender", SENDER)
    top = {
        "From": sender,
        "To": ", ".join(fields.get("recipients", RECIPIENTS)),
        "Subject": _unstructured(fields.get("subject", "November: jackets, boots, wax")),
        "Date": DATE,
        "Message-ID": fields.get("message_id") or f"<{uuid4()}@kontor.example>",
        "MIME-Version": "1.0",
    }
    if bulk:
        top["List-Unsubscribe"] = f"<{UNSUBSCRIBE_LINK}>"
    return _field_lines(top | dict(fields.get("headers", {}))) + entity


def _alternative(encoding: TransferEncoding, charset: str, html: str, text: str) -> bytes:
    plain = text_part("plain", text, "quoted-printable", charset)
    page = text_part("html", html, encoding, charset)
    return multipart("alternative", "alt", plain, page)


def _file(kind: str, content: bytes) -> bytes:
    return part(
        f'application/{kind}; name="file.{kind}"',
        _base64_lines(content),
        {
            "Content-Transfer-Encoding": "base64",
            "Content-Disposition": f'attachment; filename="file.{kind}"',
        },
    )


def _field_lines(fields: Mapping[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode("utf-8")


def _unstructured(value: str) -> str:
    return value if value.isascii() else Header(value, "utf-8").encode(linesep="\r\n")


def _encoded(raw: bytes, encoding: TransferEncoding) -> bytes:
    if encoding == "quoted-printable":
        return quopri.encodestring(raw).replace(b"\n", b"\r\n")
    canonical = raw.replace(b"\n", b"\r\n")
    return _base64_lines(canonical) if encoding == "base64" else canonical


def _base64_lines(raw: bytes) -> bytes:
    return base64.encodebytes(raw).replace(b"\n", b"\r\n")


def _crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("utf-8")
