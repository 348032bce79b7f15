"""The networks whose clicks the admin wants dropped, as their owners publish them.

Called by `judges` at start, which reads the files of `judge.scanner_networks`, and by `judge` for
each click.  Understood are JSON as Google, Bing, Microsoft 365, Azure and AWS publish it, and text
with a network at the beginning of each line, alone or as the first field of a CSV file (Apple).
The shape is told by the content, not by the name.

Promise: a lookup halves its way through sorted arrays, however many networks there are; hundreds
of thousands are read in about a second.  A file without a single network is a fault, since it is
never what was meant.
"""

from __future__ import annotations

import json
import re
import socket
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_KEYS = {"ipv4prefix", "ipv6prefix", "ip_prefix", "ipv6_prefix", "ips", "addressprefixes"}
_NEEDS = "need a network, such as 192.0.2.0/24 or 2001:db8::/32"
_MAX_SHOWN_CHARS = 60
_V4, _V6 = 4, 16
"""How many bytes an address has."""

Span = tuple[bytes, bytes]
"""The first and the last address of a network."""


class NetworksError(Exception):
    """A file that holds no networks; the message says where and what is needed.

    `line` is 0 where the place is told in words, as in JSON.
    """

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(text)
        self.line = line


class _Spans:
    """Networks of one address family, merged and sorted; addresses of `size` bytes."""

    def __init__(self, size: int, spans: Iterable[Span]) -> None:
        merged: list[list[bytes]] = []
        for first, last in sorted(spans):
            if merged and first <= merged[-1][1]:
                merged[-1][1] = max(last, merged[-1][1])
            else:
                merged.append([first, last])
        # Two strings rather than lists: 300,000 networks of IPv6 take 10 MB instead of 30.
        self._size = size
        self._count = len(merged)
        self._firsts = b"".join(first for first, _ in merged)
        self._lasts = b"".join(last for _, last in merged)

    def __contains__(self, address: bytes) -> bool:
        size = self._size
        place = bisect_right(
            range(self._count),
            address,
            key=lambda at: self._firsts[at * size : (at + 1) * size],
        )
        return place > 0 and address <= self._lasts[(place - 1) * size : place * size]


@dataclass(frozen=True)
class NetworkFile:
    """The networks of one file, whose `name` evidence quotes."""

    name: str
    count: int
    v4: _Spans
    v6: _Spans

    def __contains__(self, ip: str) -> bool:
        """Whether the address `ip` stands in one of them; what is no address does not."""
        address = _packed(ip)
        if address is None:
            return False
        return address in (self.v4 if len(address) == _V4 else self.v6)


def parse_networks(text: str, name: str) -> NetworkFile:
    """Return the networks that `text` holds.  Raises NetworksError."""
    shape = _of_json if text.lstrip()[:1] in ("{", "[") else _of_lines
    spans = list(shape(text))
    if not spans:
        raise NetworksError(
            "holds no network: need JSON with prefixes or ips, or text with a network a line"
        )
    return NetworkFile(
        name,
        len(spans),
        _Spans(_V4, (span for span in spans if len(span[0]) == _V4)),
        _Spans(_V6, (span for span in spans if len(span[0]) == _V6)),
    )


def _of_lines(text: str) -> Iterator[Span]:
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        field = line.partition("#")[0].partition(",")[0].strip().strip('"')
        if not field:
            continue
        span = _span(field)
        if span is not None:
            yield span
        elif number > 1 or not re.fullmatch(r"[A-Za-z_ ]+", field):  # the head of a CSV file
            raise NetworksError(f"{_shown(field)}: {_NEEDS}", number)


def _of_json(text: str) -> Iterator[Span]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 0
        raise NetworksError(f"not JSON: {error}", line) from error
    try:
        yield from _walk(document, "")
    except RecursionError as error:
        raise NetworksError("nested too deep: need prefixes or ips") from error


def _walk(value: Any, path: str) -> Iterator[Span]:
    """Yield what stands below the keys that hold networks, wherever these are."""
    if isinstance(value, dict):
        for key, inner in value.items():
            below = f"{path}.{key}".removeprefix(".")
            if key.lower() in _KEYS:
                yield from _named(inner, below)
            else:
                yield from _walk(inner, below)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _walk(inner, f"{path}[{number}]")


def _named(value: Any, path: str) -> Iterator[Span]:
    entries = value if isinstance(value, list) else [value]
    for number, entry in enumerate(entries):
        span = _span(entry) if isinstance(entry, str) else None
        if span is None:
            place = f"{path}[{number}]" if entries is value else path
            raise NetworksError(f"{_shown(place)}: found {_shown(json.dumps(entry))}: {_NEEDS}")
        yield span


def _span(network: str) -> Span | None:
    """Return the ends of a network, None for what is none; bits behind the prefix are ignored."""
    ip, slash, length = network.partition("/")
    address = _inet_pton(ip)
    if address is None:
        return None
    bits = len(address) * 8
    if slash and not (length.isascii() and length.isdigit() and len(length) <= 3):
        return None
    host_bits = bits - (int(length) if slash else bits)
    if host_bits < 0:
        return None
    number = int.from_bytes(address, "big") >> host_bits << host_bits
    last = number | (1 << host_bits) - 1
    return number.to_bytes(len(address), "big"), last.to_bytes(len(address), "big")


def _packed(ip: str) -> bytes | None:
    """Return an address as bytes; an IPv4 address that came over IPv6 as what it is."""
    address = _inet_pton(ip)
    if address is not None and len(address) == _V6 and address[:12] == b"\0" * 10 + b"\xff\xff":
        return address[12:]
    return address


def _inet_pton(ip: str) -> bytes | None:
    # Not ipaddress: it takes five times as long, and some lists are long.
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)
    except (OSError, ValueError):
        return None


def _shown(text: str) -> str:
    plain = text if text.isprintable() else ascii(text)
    return plain if len(plain) <= _MAX_SHOWN_CHARS else plain[:_MAX_SHOWN_CHARS] + "…"
