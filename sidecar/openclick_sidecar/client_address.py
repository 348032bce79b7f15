"""Who the client is: the peer, or what a trusted proxy says of it.

Called by `channel` for each request, by `admission` for each connection.  Pure.

A forwarding header is a stranger's text until a trusted proxy has added to it.  So the hops of
X-Forwarded-For are read from the right, where the nearest proxy writes, and the first one that is
no trusted proxy is the client.  A hop that is no address ends the walk: what stands left of it was
not vouched for.  Without `sidecar.trusted_proxies` nothing of this is looked at.

Promises: whatever is returned is an address in its one normal spelling, IPv4 for an IPv4-mapped
IPv6 address, or what the transport itself said of the peer.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address, ip_address

from openclick.option_kinds import IPNetwork

_HOP = re.compile(
    r"(?:\[(?P<bracketed>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+))(?::[0-9]{1,5})?\Z"
    r"|(?P<six>[0-9A-Fa-f:.]+)\Z"
)
_CACHED = 4096


def normal_address(text: str) -> str | None:
    """Return the address that `text` spells, None where it spells none.

    Taken are 192.0.2.1, 192.0.2.1:443, 2001:db8::1, [2001:db8::1] and [2001:db8::1]:443.
    """
    match = _HOP.match(text.strip())
    if match is None:
        return None
    try:
        address = ip_address(match["bracketed"] or match["four"] or match["six"])
    except ValueError:
        return None
    if match["bracketed"] and address.version == 4:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def normal_peer(host: str) -> str:
    """Return a peer's address as the transport tells it, in its normal spelling."""
    if ":" not in host:
        return host
    # A link-local peer comes with its interface.
    return normal_address(host.partition("%")[0]) or host


class ClientAddresses:
    """Finds clients behind the proxies that are trusted."""

    def __init__(self, trusted_proxies: Sequence[IPNetwork]) -> None:
        self._networks = tuple(trusted_proxies)
        self._is_proxy = functools.lru_cache(maxsize=_CACHED)(self._in_a_network)

    def trusts(self, address: str) -> bool:
        """Tell whether `address`, in its normal spelling, is a trusted proxy."""
        return bool(self._networks) and self._is_proxy(address)

    def client(self, peer: str, forwarded_for: Iterable[bytes]) -> str:
        """Return the client of a request that came from `peer`, in its normal spelling.

        `forwarded_for` are the values of the X-Forwarded-For fields, in their order.
        """
        if not self.trusts(peer):
            return peer
        found = peer
        hops = b",".join(forwarded_for).decode("latin-1").split(",")
        for hop in reversed(hops):
            if not hop.strip():
                continue  # an empty element of a list is none (RFC 9110, 5.6.1.2)
            address = normal_address(hop)
            if address is None:
                break
            found = address
            if not self.trusts(address):
                break
        return found

    def _in_a_network(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)
