"""What waits for each webhook, for the metrics.

A service of the sidecar.  Looks every few seconds and remembers, so that whoever asks for the
metrics waits for no disk.
"""

from __future__ import annotations

from dataclasses import dataclass

from openclick.store import StoreFault
from openclick.webhooks import Backlog
from openclick_sidecar.bookkeeper import Bookkeeper

TICK_SECONDS = 5.0


@dataclass
class BacklogWatch:
    """The service: `tick` is called every TICK_SECONDS; `last` is what it saw then."""

    bookkeeper: Bookkeeper
    last: tuple[Backlog, ...] = ()

    async def tick(self) -> None:
        """Look; where the store cannot be read, nothing is known."""
        try:
            found = await self.bookkeeper.run(lambda registry: registry.deliveries.backlog())
        except StoreFault:
            found = []
        self.last = tuple(found)
