"""The sorts of value that an option can have: how each is read, and what an error says of it.

Used by `settings`, whose table names a kind for every option.  Pure.  Promise: a parser returns a
valid value or raises ValueError or TypeError; it never repairs anything.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

HOST_NAME = re.compile(r"(?=.{1,253}\Z)(?!-)[a-z0-9-]{1,63}(?:\.(?!-)[a-z0-9-]{1,63})+\Z")

# An address holds 107 bytes (unix(7)); a milter binds PATH.PID first, with a pid of up to 7 digits.
_MAX_SOCKET_PATH_BYTES = 99


@dataclass(frozen=True)
class Kind:
    """How one sort of value is read.

    `parse` takes what TOML gave and returns the value, or raises ValueError or TypeError; `needs`
    completes the sentence "need ..." of the error.
    """

    needs: str
    parse: Callable[[Any], Any]


def option(default: Any, kind: Kind, text: str) -> Any:
    """Return the field of an option, for the dataclasses of the settings table."""
    return dataclasses.field(default=default, metadata={"kind": kind, "text": text})


@dataclass(frozen=True)
class HostPort:
    """An address to listen on or to ask: a literal IP address and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _typed(value: Any, kind: type) -> Any:
    # bool is an int to Python, never to a person who writes a configuration.
    if type(value) is not kind:
        raise TypeError(value)
    return value


def one_of(*words: str) -> Kind:
    """One of these words."""

    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError(value)
        return str(value)

    return Kind("one of " + ", ".join(f'"{word}"' for word in words), parse)


def whole(low: int, high: int) -> Kind:
    """A whole number, bounds included."""

    def parse(value: Any) -> int:
        number: int = _typed(value, int)
        if not low <= number <= high:
            raise ValueError(value)
        return number

    return Kind(f"a whole number from {low:,} to {high:,}", parse)


def seconds(low: float, high: float) -> Kind:
    """A duration in seconds, bounds included."""

    def parse(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(value)
        if not low <= value <= high:
            raise ValueError(value)
        return float(value)

    return Kind(f"seconds, a number from {low:g} to {high:g}", parse)


def list_of_seconds(low: float, high: float, longest: int) -> Kind:
    """A list of at least one and at most `longest` durations in seconds, bounds included."""
    item = seconds(low, high)

    def parse(value: Any) -> tuple[float, ...]:
        if not 1 <= len(_typed(value, list)) <= longest:
            raise ValueError(value)
        return tuple(item.parse(entry) for entry in value)

    needs = f"a list of 1 to {longest} numbers of seconds, each from {low:g} to {high:g}"
    return Kind(needs, parse)


def hours(low: float, high: float) -> Kind:
    """A duration in hours, bounds included."""
    return Kind(f"hours, a number from {low:g} to {high:g}", seconds(low, high).parse)


def matching(needs: str, pattern: str) -> Kind:
    """Text that `pattern` matches as a whole."""
    compiled = re.compile(pattern)

    def parse(value: Any) -> str:
        text: str = _typed(value, str)
        if not compiled.fullmatch(text):
            raise ValueError(value)
        return text

    return Kind(needs, parse)


def list_of(item: Kind, needs: str) -> Kind:
    """A list of values of one kind."""

    def parse(value: Any) -> tuple[Any, ...]:
        return tuple(item.parse(entry) for entry in _typed(value, list))

    return Kind(needs, parse)


def _parse_host_port(value: Any) -> HostPort:
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})", _typed(value, str))
    if match is None:
        raise ValueError(value)
    host, port = match[1] or match[2], int(match[3])
    ipaddress.ip_address(host)
    if not 0 < port < 65536:
        raise ValueError(value)
    return HostPort(host, port)


def _parse_milter_socket(value: Any) -> str:
    match = re.fullmatch(r"unix:/[^\x00-\x1f\x7f]+|inet(6?):([0-9]{1,5})@(.+)", _typed(value, str))
    if match is None or len(match[0].encode("utf-8")) > len("unix:") + _MAX_SOCKET_PATH_BYTES:
        raise ValueError(value)
    if match[2] is not None:
        version = 6 if match[1] else 4
        if not 0 < int(match[2]) < 65536 or ipaddress.ip_address(match[3]).version != version:
            raise ValueError(value)
    return match[0]


def _parse_network(value: Any) -> IPNetwork:
    return ipaddress.ip_network(_typed(value, str))


def _parse_host_name(value: Any) -> str:
    name: str = _typed(value, str).lower().rstrip(".")
    if name and not HOST_NAME.match(name):
        raise ValueError(value)
    return name


BOOLEAN = Kind("true or false", lambda value: _typed(value, bool))
HOST_PORT = Kind('an address and a port, such as "127.0.0.1:8080" or "[::]:80"', _parse_host_port)
HOST_NAME_KIND = Kind("a host name of at least two labels, in ASCII", _parse_host_name)
NETWORK = Kind('a network, such as "10.0.0.0/8"', _parse_network)
LISTEN_LIST = list_of(HOST_PORT, 'a list of addresses, such as ["0.0.0.0:80", "[::]:80"]')
NETWORK_LIST = list_of(NETWORK, 'a list of networks, such as ["10.0.0.0/8", "2001:db8::/32"]')
WORD = matching("a word of letters, digits, - and _", r"[A-Za-z0-9_-]{1,64}")
WORD_LIST = list_of(WORD, 'a list of words, such as ["openclick-inject"]')
PATH = matching("an absolute path", r"/[^\x00-\x1f\x7f]*")
OPTIONAL_PATH = matching('an absolute path, or "" for none', r"(?:/[^\x00-\x1f\x7f]*)?")
PATH_LIST = list_of(PATH, 'a list of absolute paths, such as ["/etc/openclick/scanners.json"]')
HTTPS_URL = matching('an https URL, or "" for none', r"(?:https://[!-~]+)?")
MAIL_ADDRESS = matching('a mail address, or "" for none', r"(?:[^\s@]+@[^\s@]+)?")
PRINTABLE = matching("printable ASCII without blanks", r"[!-~]*")
STORE_URL = matching('"sqlite:" and an absolute directory', r"sqlite:/[^\x00-\x1f\x7f]*")
MILTER_SOCKET = Kind(
    f'"unix:" and an absolute path of at most {_MAX_SOCKET_PATH_BYTES} bytes, '
    '"inet:PORT@ADDRESS" or "inet6:PORT@ADDRESS"',
    _parse_milter_socket,
)
HEADER_PREFIX = matching(
    'letters, digits and hyphens that end in a hyphen, such as "X-Anypost-"',
    r"[A-Za-z][A-Za-z0-9-]{0,38}-",
)
