"""The mails that are measured: a newsletter of 50 KB with 30 links, and one of 25 MB.

Who calls: the experiments and their workers.  Promises: the same arguments give the same bytes, so
that ours and the anchor get the same mails; the HTML is as dense in tags, inline styles and words
as a shop's newsletter, in quoted-printable, with a text part beside it.
"""

from __future__ import annotations

import base64
import random

from support import messages

LINKS = 30
MAIL_BYTES = 50_000
LARGE_BYTES = 25_000_000
RECIPIENT = "anna@reader.example"

_TEXT = """
    jacket boots wool waxed cotton winter harbour walk rain size delivery free return lining
    pocket collar warm light colour autumn new from every week shop café Größe 10 € – fits over
    the and with for your our only until Sunday more about this story read on made in Norway
"""
_WORDS = _TEXT.split()
_BASE64_LINE, _BASE64_LINE_HOLDS = 78, 57
_ENCODED_SHARE = 0.86  # of a text's length in quoted-printable, what its characters make up
_CELL_STYLE = "padding:16px 24px;font-family:Helvetica,Arial,sans-serif;font-size:15px;color:#222"
_HEAD = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8">
<title>November at Kontor Nord</title>
<style>a { color: #0b5; } @media (max-width: 600px) { td { padding: 8px !important; } }</style>
</head>
<body bgcolor="#ffffff" style="margin:0;padding:0">
<!-- preview: jackets, boots and a note on wax -->
<table width="600" cellpadding="0" cellspacing="0" role="presentation" align="center">
"""
_FOOT = "</table>\n</body>\n</html>\n"


def newsletter(seed: int, domain: str = "kontor.example", size_bytes: int = MAIL_BYTES) -> bytes:
    """Return a mail whose HTML is about `size_bytes` long, encoded, and has `LINKS` links."""
    return messages.newsletter(
        html=newsletter_html(seed, size_bytes),
        sender=f"Kontor Nord <news@{domain}>",
        recipients=(RECIPIENT,),
        message_id=f"<bench-{seed}@{domain}>",
    )


def newsletter_html(seed: int, size_bytes: int = MAIL_BYTES) -> str:
    """Return the HTML alone; what is missing to the size is made up with text."""
    words = random.Random(seed)
    bare = _HEAD + "".join(_row(words, number, 0) for number in range(LINKS)) + _FOOT
    missing = int(max(0, size_bytes - _encoded_bytes(bare)) / LINKS * _ENCODED_SHARE)
    words = random.Random(seed)
    return _HEAD + "".join(_row(words, number, missing) for number in range(LINKS)) + _FOOT


def large_mail() -> bytes:
    """Return a mail of 25 MB: the newsletter and two attachments."""
    content = random.Random(7).randbytes(LARGE_BYTES // 2 // _BASE64_LINE * _BASE64_LINE_HOLDS)
    plain = messages.text_part("plain", messages.NEWSLETTER_TEXT, "quoted-printable", "utf-8")
    page = messages.text_part("html", newsletter_html(1), "quoted-printable", "utf-8")
    files = [_attachment(content), _attachment(content[::-1])]
    text = messages.multipart("alternative", "alt", plain, page)
    return _top_fields() + messages.multipart("mixed", "mix", text, *files)


def with_bare_newlines(raw: bytes) -> bytes:
    """Return the mail as smtp-source reads it from a file."""
    return raw.replace(b"\r\n", b"\n")


def _top_fields() -> bytes:
    return (
        b"From: Kontor Nord <news@kontor.example>\r\nTo: " + RECIPIENT.encode("ascii") + b"\r\n"
        b"Subject: The whole catalogue\r\nDate: " + messages.DATE.encode("ascii") + b"\r\n"
        b"Message-ID: <catalogue@kontor.example>\r\nMIME-Version: 1.0\r\n"
    )


def _attachment(content: bytes) -> bytes:
    return messages.part(
        'application/pdf; name="catalogue.pdf"',
        base64.encodebytes(content).replace(b"\n", b"\r\n"),
        {
            "Content-Transfer-Encoding": "base64",
            "Content-Disposition": 'attachment; filename="catalogue.pdf"',
        },
    )


def _row(words: random.Random, number: int, text_bytes: int) -> str:
    link = f"https://shop.kontor.example/item/{number}?utm_source=newsletter&amp;utm_campaign=nov"
    paragraphs = "".join(f"<p>{_text(words, text_bytes // 3)}</p>\n" for _ in range(3))
    return (
        f'<tr><td width="120" valign="top"><img src="https://cdn.kontor.example/{number}.jpg" '
        f'width="120" height="120" alt="{_text(words, 20)}" style="display:block;border:0"></td>\n'
        f'<td style="{_CELL_STYLE}"><h2 style="margin:0">{_text(words, 30)}</h2>\n{paragraphs}'
        f'<a href="{link}" style="color:#0b5;font-weight:bold" target="_blank">'
        f"<span>{_text(words, 20)}</span></a></td></tr>\n"
    )


def _text(words: random.Random, size: int) -> str:
    chosen: list[str] = []
    length = 0
    while length < size:
        chosen.append(words.choice(_WORDS))
        length += len(chosen[-1]) + 1
    return " ".join(chosen)


def _encoded_bytes(html: str) -> int:
    return len(messages.text_part("html", html, "quoted-printable", "utf-8"))
