"""Who asks: from the Authorization field to the API key in use.

Called by `router` for every request.  Promises: a revoked key is refused within a second; strangers
learn nothing of the keys there are, and cost one look into an index, once a second for each secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from openclick.api_keys import ApiKey, secret_digest
from openclick.store import RegistryReader
from openclick_sidecar.api.faults import unauthenticated
from openclick_sidecar.api.reading_room import ReadingRoom

_KEPT_SECONDS = 1.0
_MOST_KEPT = 1000
_BEARER = re.compile(r"Bearer +(ap_[A-Za-z0-9_-]{1,200})\Z", re.IGNORECASE)


@dataclass
class Gate:
    """Finds keys, and keeps for a second what it has found; `monotonic` is a clock in seconds."""

    room: ReadingRoom
    monotonic: Callable[[], float]
    _kept: dict[bytes, tuple[float, ApiKey | None]] = field(default_factory=dict)

    async def caller(self, authorization: str | None) -> ApiKey:
        """Return the key of a request.  Raises ApiFault, StoreFault."""
        match = _BEARER.match(authorization or "")
        if match is None:
            raise unauthenticated()
        digest = secret_digest(match[1])
        known = self._kept.get(digest)
        if known is None or known[0] <= self.monotonic():
            known = await self._looked_up(digest)
        key = known[1]
        if key is None or key.revoked_at is not None:
            raise unauthenticated()
        return key

    async def _looked_up(self, digest: bytes) -> tuple[float, ApiKey | None]:
        def look(reader: RegistryReader) -> ApiKey | None:
            return reader.api_keys.maybe_key(digest)

        known = self.monotonic() + _KEPT_SECONDS, await self.room.run(look)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[digest] = known
        return known
