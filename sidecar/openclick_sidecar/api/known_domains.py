"""Which sending domains are added: what an email may name in From.

Called by `email` and `batch`.  Promises: a domain that was just added counts at once, one that was
removed no longer than a second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from openclick.api_keys import ApiKey
from openclick.store import RegistryReader
from openclick_sidecar.api.faults import forbidden
from openclick_sidecar.api.reading_room import ReadingRoom

_KEPT_SECONDS = 1.0


@dataclass
class KnownDomains:
    """The names, kept for a second; `monotonic` is a clock in seconds."""

    room: ReadingRoom
    monotonic: Callable[[], float]
    _names: frozenset[str] = frozenset()
    _read_at: float = float("-inf")

    async def require(self, key: ApiKey, domain: str) -> None:
        """Raise ApiFault unless mail of `domain` may be sent with this key.  Raises StoreFault."""
        if not key.allows(domain):
            raise forbidden(f"This API key may not send from {domain}.")
        stale = self._read_at + _KEPT_SECONDS <= self.monotonic()
        if stale or domain not in self._names:
            self._names = await self.room.run(_names)
            self._read_at = self.monotonic()
        if domain not in self._names:
            raise forbidden(f"{domain} is no sending domain of yours: add it first.")


def _names(reader: RegistryReader) -> frozenset[str]:
    return frozenset(domain.name for domain in reader.domains.many_domains())
