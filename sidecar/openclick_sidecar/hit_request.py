"""What the site decides on, and the reader of the request that nearly everybody sends.

Called by `channel`.  Pure.  A click or an open is, nearly always, one GET that arrives whole, in
one piece: `read_whole_get` takes exactly that, by one expression, at a seventh of what Twisted's
parser needs for it, line by line (docs/adr/0016).  It repairs nothing and forgives nothing:
whatever is cut, pipelined, repeated, folded, or steers the connection is None, and the parser's.

Promise: what it returns is what the parser would have made of the same bytes, field by field
(`tests/unit/channel/test_hit_request.py` compares the two).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

MAX_WHOLE_BYTES = 8 * 1024
MAX_WHOLE_FIELDS = 32

_WHOLE_GET = re.compile(
    # RFC 9112, 3 and 5, without what it only tolerates; \Z, for $ would allow a line feed more.
    rb"GET (/[\x21-\x7e]*) HTTP/1\.1((?:\r\n[A-Za-z0-9-]+: [\x21-\x7e][\x20-\x7e]*)+)\r\n\r\n\Z"
)
_OF_A_BODY = frozenset((b"content-length", b"transfer-encoding", b"expect"))
_WISHES = {b"keep-alive": False, b"close": True}


class FieldMap:
    """A request's fields, names in lower case; what both of Twisted's parsers write into."""

    def __init__(self, fields: dict[bytes, list[bytes]] | None = None) -> None:
        self._fields = {} if fields is None else fields

    def getRawHeaders(self, name: bytes) -> list[bytes] | None:  # noqa: N802 - Twisted's name
        """Return the values of a field, None where there is none."""
        return self._fields.get(name.lower())

    def setRawHeaders(self, name: bytes, values: list[bytes]) -> None:  # noqa: N802
        """Replace the values of a field."""
        self._fields[name.lower()] = values

    def addRawHeader(self, name: bytes, value: bytes) -> None:  # noqa: N802
        """Add a value to a field."""
        self._fields.setdefault(name.lower(), []).append(value)

    def remove(self, name: bytes) -> None:
        """Forget a field."""
        self._fields.pop(name, None)

    def first(self, name: bytes) -> str:
        """Return the first value of a field as text, empty where there is none."""
        values = self._fields.get(name)
        return values[0].decode("utf-8", "replace") if values else ""

    def __iter__(self) -> Iterator[bytes]:
        """Give the names of the fields, in lower case."""
        return iter(self._fields)

    def values(self, name: bytes) -> Sequence[bytes]:
        """Return the values of a field, none where there is none."""
        return self._fields.get(name, ())


class HitRequest(NamedTuple):
    """One well-formed request: what the site decides on."""

    method: str
    path: str
    host: str
    client_ip: str
    fields: FieldMap


class WholeGet(NamedTuple):
    """One plain GET of HTTP/1.1; `closes` where the client wants the connection to end."""

    path: str
    fields: FieldMap
    closes: bool


def read_whole_get(data: bytes) -> WholeGet | None:
    """Return what `data` asks for where it is one plain GET of HTTP/1.1 with a Host, None else.

    Of the fields that steer a connection only Connection is taken, as "keep-alive" or "close".
    """
    if len(data) > MAX_WHOLE_BYTES:
        return None
    match = _WHOLE_GET.match(data)
    if match is None:
        return None
    lines = match[2].split(b"\r\n")
    del lines[0]  # before the first field
    fields = {}
    for line in lines:
        name, _, value = line.partition(b": ")
        fields[name.lower()] = [value.rstrip(b" ")]
    if len(fields) != len(lines) or len(lines) > MAX_WHOLE_FIELDS or b"host" not in fields:
        return None
    wish = fields.get(b"connection")
    closes = _WISHES.get(wish[0].lower()) if wish else False
    if closes is None or not _OF_A_BODY.isdisjoint(fields):
        return None
    return WholeGet(match[1].decode("ascii"), FieldMap(fields), closes)
