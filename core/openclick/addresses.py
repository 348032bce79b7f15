"""Which addresses a webhook may be dialled at: the special ranges of the internet, our own table.

Called where a webhook is added, and by the sidecar for every address that it is about to dial.
Pure.  Python's `ipaddress` is used to read addresses, never to classify them: its `is_global` holds
for NAT64 and v4-compatible forms of 127.0.0.1, and changes between patch levels.

Promises: IPv4 is free but for IANA's special-purpose ranges (RFC 6890 and its registry); of IPv6
only global unicast (2000::/3) is, without its special ranges, and NAT64's well-known prefix where
the IPv4 address in it is free.  Limits: what a router of one's own does with a free address,
nobody can tell from the address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from openclick.option_kinds import IPNetwork

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_V4 = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "carrier-grade NAT",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "IETF protocols",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "AMT relays",
    "192.88.99.0/24": "6to4 relays",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "benchmarks",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
}
_V6 = {
    "::/128": "unspecified",
    "::1/128": "loopback",
    "::/96": "IPv4-compatible",
    "::ffff:0:0:0/96": "IPv4-translated",
    "64:ff9b:1::/48": "local NAT64",
    "100::/64": "discard",
    "100:0:0:1::/64": "dummy prefix",
    "2001::/32": "Teredo",
    "2001::/23": "IETF protocols",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "2620:4f:8000::/48": "AS112",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing",
    "fc00::/7": "unique local",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
_V4_TABLE = [(ipaddress.IPv4Network(text), word) for text, word in _V4.items()]
_V6_TABLE = [(ipaddress.IPv6Network(text), word) for text, word in _V6.items()]
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL = ipaddress.IPv6Network("2000::/3")
_NUMBER = re.compile(r"(?:[0-9]+|0[xX][0-9a-fA-F]*)\Z")


def maybe_literal(host: str) -> IPAddress | None:
    """Return the address that `host` spells as a socket takes it, None where it is a name.

    Raises ValueError for what is neither: a last label that is a number makes WHATWG's URL, libc
    and curl read an address where DNS reads a name, as in 127.1, 0177.0.0.1 and 2130706433; and a
    scope (fe80::1%eth0) names an interface of this machine.
    """
    text = host.removeprefix("[").removesuffix("]")
    if "%" in text:
        raise ValueError(f"{host!r} has a scope or an escape in it")
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    if ":" in text or _NUMBER.match(text.rstrip(".").rpartition(".")[2]):
        raise ValueError(f"{host!r} is neither a name nor a plain address")
    return None


def forbidden_range(address: IPAddress, allowed: Iterable[IPNetwork] = ()) -> str | None:
    """Return what kind of special range `address` lies in, None where it may be dialled.

    `allowed` are the admin's own networks; an IPv4 address inside an IPv6 one is looked for too.
    """
    inner = _inner(address)
    if any(_lies_in(candidate, network) for candidate in (address, inner) for network in allowed):
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return _first(address, _V4_TABLE)
    if inner is not None:
        found = _first(inner, _V4_TABLE)
        if found is not None or address in _MAPPED:
            return found
        return None
    found = _first(address, _V6_TABLE)
    return found if found is not None or address in _GLOBAL else "not global unicast"


def _inner(address: IPAddress) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that a kernel or a NAT64 gateway dials for an IPv6 one."""
    if isinstance(address, ipaddress.IPv6Address) and (address in _MAPPED or address in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _lies_in(address: IPAddress | None, network: IPNetwork) -> bool:
    return address is not None and address.version == network.version and address in network


def _first(address: IPAddress, table: Iterable[tuple[IPNetwork, str]]) -> str | None:
    return next((word for network, word in table if address in network), None)
