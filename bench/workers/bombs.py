"""Hostile mails by name: each is a function of its size, so that it can be doubled.

Who calls: the hostile worker.  The kinds are those that made parsers quadratic (html.parser and
the email package: CVE-2025-6069, CVE-2026-15308, python/cpython issues 135462 and 136063) and those
that our own way of working invites: offsets mapped through transfer encodings, line lengths,
boundaries, control headers, labels, tokens.  Limits: a header field has at most
100,000 bytes, as in Postfix.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple


class Bomb(NamedTuple):
    """A hostile mail: header fields as pymilter hands them over, and a body with CRLF."""

    fields: list[tuple[str, str]]
    body: bytes


MakeBomb = Callable[[int], Bomb]

_FROM = ("From", "news@kontor.example")
_LINK = b'<a href="https://shop.kontor.example/x?a=1&amp;b=2">x</a>'
_HTML = b"<html><body><p><a href='https://shop.kontor.example/'>x</a></p></body></html>\r\n"
_MARK = "mark"
_MAX_FIELD_BYTES = 100_000


def _html(body: bytes, encoding: str = "8bit") -> Bomb:
    fields = [_FROM, ("Content-Type", "text/html; charset=utf-8")]
    return Bomb([*fields, ("Content-Transfer-Encoding", encoding)], body)


def _repeated(unit: bytes, before: bytes = b"", after: bytes = b"") -> MakeBomb:
    return lambda size: _html(before + unit * (size // len(unit)) + after)


def _quoted_printable(unit: bytes, after: bytes = b"") -> MakeBomb:
    return lambda size: _html(unit * (size // len(unit)) + after, "quoted-printable")


def _base64_links(size: int) -> Bomb:
    lines = base64.encodebytes(_LINK * (size // len(_LINK) * 3 // 4)).replace(b"\n", b"\r\n")
    return _html(lines, "base64")


def _multipart(parts: Callable[[int], bytes]) -> MakeBomb:
    content_type = f"multipart/mixed; boundary={_MARK}"
    return lambda size: Bomb([_FROM, ("Content-Type", content_type)], parts(size))


def _entity(content_type: str, body: bytes) -> bytes:
    return f"--{_MARK}\r\nContent-Type: {content_type}\r\n\r\n".encode("ascii") + body + b"\r\n"


_END = f"--{_MARK}--\r\n".encode("ascii")


def _many_parts(size: int) -> bytes:
    part = _entity("text/plain", b"x")
    return part * (size // len(part)) + _END


def _many_html_parts(size: int) -> bytes:
    part = _entity("text/html", _HTML * (size // len(_HTML) // 500))
    return part * 500 + _END


def _deep_parts(size: int) -> bytes:
    return _nested(size // 120, b"")


def _deep_within_bounds(size: int) -> bytes:
    return _nested(25, _LINK * (size // len(_LINK)))


def _nested(levels: int, html: bytes) -> bytes:
    marks = [_MARK, *(f"{_MARK}{level}" for level in range(levels))]
    heads = (
        f"--{outer}\r\nContent-Type: multipart/mixed; boundary={inner}\r\n\r\n"
        for outer, inner in pairwise(marks)
    )
    leaf = f"--{marks[-1]}\r\nContent-Type: text/html\r\n\r\n"
    tails = (f"\r\n--{mark}--\r\n" for mark in reversed(marks))
    return "".join((*heads, leaf)).encode("ascii") + html + "".join(tails).encode("ascii")


def _like_boundaries(size: int) -> bytes:
    line = f"--{_MARK}x\r\n".encode("ascii")
    return _entity("text/html", _HTML + line * (size // len(line))) + _END


def _long_part_header(size: int) -> bytes:
    line = b"X-A: b\r\n"
    header = f"--{_MARK}\r\nContent-Type: text/html\r\n".encode("ascii")
    room = min(size, _MAX_FIELD_BYTES)
    return header + line * (room // len(line)) + b"\r\n" + _HTML + b"\r\n" + _END


def _folded_part_header(size: int) -> bytes:
    """Four parts, each with one field of nothing but folds, which grows with the size."""
    folds = b" \r\n" * (min(size // 5, _MAX_FIELD_BYTES) // 3)
    header = f"--{_MARK}\r\nContent-Type: text/html\r\nX-A: b\r\n".encode("ascii") + folds
    return (header + b"\r\n" + _HTML + b"\r\n") * 4 + _END


def _field(name: str, unit: str, before: str = "", after: str = "") -> MakeBomb:
    def make(size: int) -> Bomb:
        value = before + unit * (min(size, _MAX_FIELD_BYTES) // len(unit)) + after
        own = [] if name == "From" else [_FROM]
        return Bomb([*own, ("Content-Type", "text/html"), (name, value)], _HTML)

    return make


def _fields(name: str, value: str) -> MakeBomb:
    def make(size: int) -> Bomb:
        # Four fifths: a header of over 409,600 bytes is refused before anybody reads it.
        many = [(name, value)] * (size * 4 // 5 // (len(name) + len(value) + 4))
        return Bomb([_FROM, ("Content-Type", "text/html"), *many], _HTML)

    return make


BOMBS: dict[str, MakeBomb] = {
    # HTML: what made html.parser quadratic
    "html: a open": _repeated(b"<a "),
    "html: attribute quote open": _repeated(b'<p x="'),
    "html: href quote open": _repeated(b'<a href="'),
    "html: comment open": _repeated(b"<!--"),
    "html: bogus comments": _repeated(b"<!x"),
    "html: declarations": _repeated(b"<![="),
    "html: lone <": _repeated(b"<"),
    "html: end tags open": _repeated(b"</a "),
    "html: cdata open": _repeated(b"<![CDATA["),
    "html: cdata closed": _repeated(b"<![CDATA[>"),
    "html: cdata in svg": _repeated(b"<![CDATA[]]>", b"<svg>"),
    "html: script escapes": _repeated(b"<script><!--<script>"),
    "html: script never closed": _repeated(b"</scrip", b"<script>"),
    "html: titles": _repeated(b"<title>"),
    "html: conditional comments": _repeated(b"<!--[if mso]>"),
    "html: a tag of attributes": _repeated(b" x=1", b"<a", b">"),
    "html: sixty attributes before an href": _repeated(b"<a" + b" x=1" * 60 + b" href=x>"),
    "html: a tag of hrefs": _repeated(b" href=https://h.example/", b"<a", b">"),
    "html: slashes in a tag": _repeated(b"/", b"<a", b">"),
    "html: blanks before =": _repeated(b" ", b"<a href", b'="https://h.example/">'),
    "html: bodies": _repeated(b"<body></body></html>"),
    "html: links": _repeated(_LINK + b"\r\n"),
    "html: links on one line": _repeated(_LINK),
    "html: opted-out links": _repeated(b'<a data-openclick=off href="https://h.example/">'),
    "html: references in href": _repeated(b"&amp;", b'<a href="https://h.example/?', b'">'),
    "html: digits in a reference": _repeated(b"0", b'<a href="https://h.example/&#', b'">'),
    "html: letters in a reference": _repeated(b"a", b'<a href="https://h.example/&', b'">'),
    "html: long host": _repeated(b"a", b'<a href="https://', b'">'),
    "html: braces in a host": _repeated(b"{", b'<a href="https://', b'">'),
    "html: percents in a host": _repeated(b"%a", b'<a href="https://', b'">'),
    "html: like our own links": _repeated(b"https://a/c/", b"/o/"),
    "html: like our own tokens": _repeated(b"https://t.example/c/" + b"A" * 60 + b" "),
    # Transfer encodings
    "qp: links on one line": _quoted_printable(b'<a href=3D"https://h.example/">'),
    "qp: links, soft breaks": _quoted_printable(b'<a href=3D"https://h.exam=\r\nple/">\r\n'),
    "qp: only soft breaks": _quoted_printable(b"=\r\n", _HTML),
    "qp: only escapes": _quoted_printable(b"=3D", b"\r\n"),
    "qp: one link after escapes": _quoted_printable(
        b"=41" * 20 + b"=\r\n", b'<a href=3D"http://h/">'
    ),
    "base64: links": _base64_links,
    # MIME
    "mime: parts": _multipart(_many_parts),
    "mime: HTML parts": _multipart(_many_html_parts),
    "mime: too deep": _multipart(_deep_parts),
    "mime: deep within bounds": _multipart(_deep_within_bounds),
    "mime: like boundaries": _multipart(_like_boundaries),
    "mime: long part header": _multipart(_long_part_header),
    "mime: folded part header": _multipart(_folded_part_header),
    # Header
    "field: addresses": _field("To", "a@b.example, "),
    "field: From addresses": _field("From", "a@b.example, "),
    "field: From parentheses": _field("From", "("),
    "field: From quotes": _field("From", '"\\'),
    "field: encoded words": _field("Subject", "=?utf-8?q?=41?= "),
    "field: half encoded words": _field("Subject", "=?a?q?"),
    "field: folds": _field("Subject", "x\n "),
    "field: folds of nothing": _field("Content-Disposition", "\n ", "inline"),
    "field: unsubscribe targets": _field("List-Unsubscribe", "<https://h.example/>, "),
    "field: unsubscribe open": _field("List-Unsubscribe", "<https://"),
    "field: tags": _field("X-Anypost-Tags", "a,"),
    "field: type parameters": _field("Content-Type", ";a=b", "text/html"),
    "fields: X-": _fields("X-App", "value"),
    "fields: control headers": _fields("X-Anypost-Tags", "a,b"),
    "field: Received": _field("Received", "from a (b [192.0.2.1]) by c; "),
    "field: Received parentheses": _field("Received", "("),
    "fields: DKIM signatures": _fields("DKIM-Signature", "h=" + "from:" * 100),
    "fields: bad toggles": _fields("X-Anypost-Track-Opens", "perhaps"),
}
