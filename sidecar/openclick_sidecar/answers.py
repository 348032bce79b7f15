"""The HTTP answers of the tracking domain, built once.

Called by `site`.  Pure.  Every answer forbids caching, since a cached image or redirect is a hit
that nobody sees (RFC 9111, 5.2.2.5), and sends no referrer, since a tracking link names its mail.
"""

from __future__ import annotations

from typing import NamedTuple

GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
"""One transparent pixel, 43 bytes."""

_COMMON = b"Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
_SECURITY = b"X-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'\r\n"


class Answer(NamedTuple):
    """A status line with its fields (each line with CRLF), and a body."""

    head: bytes
    body: bytes = b""

    @property
    def status(self) -> int:
        """The status code, as the status line has it."""
        return int(self.head[9:12])

    def render(self, date: bytes, *, close: bool, with_body: bool) -> bytes:
        """Return the bytes to send; `date` is the Date value (RFC 9110, 6.6.1)."""
        connection = b"Connection: close\r\n" if close else b""
        body = self.body if with_body else b""
        return b"%sDate: %s\r\n%s\r\n%s" % (self.head, date, connection, body)


def _answer(status: bytes, body: bytes, content_type: bytes, extra: bytes = b"") -> Answer:
    head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s%s%s" % (
        status,
        content_type,
        len(body),
        _COMMON,
        _SECURITY,
        extra,
    )
    return Answer(head, body)


def _text(status: bytes, body: bytes, extra: bytes = b"") -> Answer:
    return _answer(status, body, b"text/plain; charset=utf-8", extra)


IMAGE = _answer(b"200 OK", GIF, b"image/gif")
NOT_FOUND = _text(b"404 Not Found", b"There is nothing here.\n")
BAD_REQUEST = _text(b"400 Bad Request", b"This is no request that can be answered.\n")
NOT_ALLOWED = _text(
    b"405 Method Not Allowed", b"Only GET and HEAD.\n", b"Allow: GET, HEAD, OPTIONS\r\n"
)
OPTIONS = Answer(b"HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, OPTIONS\r\n" + _COMMON + _SECURITY)
ROOT = _text(
    b"200 OK",
    b"This host serves the links and images of e-mail that its owner sends.\n"
    b"There is nothing else to see here.\n",
)
ROBOTS = _text(b"200 OK", b"User-agent: *\nDisallow: /\n")


def plain(text: str) -> Answer:
    """Return a 200 with `text`, which is ASCII."""
    return _text(b"200 OK", text.encode("ascii"))


def redirect(location: bytes) -> Answer:
    """Return a 302 to `location`, printable ASCII from `destinations.location`; no body."""
    return Answer(
        b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n%s%s"
        % (location, _COMMON, _SECURITY)
    )
