"""Caps on open connections: in all, and for one address.

Called by `listeners` when a connection is accepted and by `channel` when it has ended.  Pure.
One address is an IPv4 address or an IPv6 /64, which is what one customer of a provider gets.

Promises: never more than `most` connections, never more than `most_per_address` of one address but
for those that `is_proxy`; what was admitted is released once.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from ipaddress import AddressValueError, IPv6Address

from openclick_sidecar.client_address import normal_peer

_PREFIX_BYTES = 8


class Admission:
    """Counts connections; `refused` counts those that were turned away, by the cap's name."""

    def __init__(
        self,
        most: int,
        most_per_address: int,
        is_proxy: Callable[[str], bool] = lambda _address: False,
    ) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._is_proxy = is_proxy
        self._by_network: dict[str, int] = {}
        self.open = 0
        self.refused: Counter[str] = Counter()

    def admit(self, host: str) -> bool:
        """Tell whether a connection from `host` may stay; if so it is counted."""
        if self.open >= self._most:
            self.refused["total"] += 1
            return False
        network = _network_of(host)
        count = self._by_network.get(network, 0)
        if count >= self._most_per_address and not self._is_proxy(normal_peer(host)):
            self.refused["address"] += 1
            return False
        self._by_network[network] = count + 1
        self.open += 1
        return True

    def release(self, host: str) -> None:
        """Forget an admitted connection, which has ended."""
        network = _network_of(host)
        count = self._by_network[network] - 1
        if count:
            self._by_network[network] = count
        else:
            del self._by_network[network]
        self.open -= 1


def _network_of(host: str) -> str:
    return host if ":" not in host else _network_of_six(host)


@functools.lru_cache(maxsize=1024)
def _network_of_six(host: str) -> str:
    peer = normal_peer(host)
    try:
        return IPv6Address(peer).packed[:_PREFIX_BYTES].hex()
    except AddressValueError:
        return peer  # an IPv4-mapped one, which counts as the IPv4 address that it is
