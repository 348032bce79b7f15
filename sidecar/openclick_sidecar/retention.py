"""Removes verdicts, events and deliveries that are older than the settings allow.

And what the API remembers of sends, after its 24 hours.

A service of the sidecar; works through the bookkeeper, the writing side of openclick.db.  (Hits are
removed by their `keeper`, message rows by the milter.)  Promises: a step takes one short
transaction a table, so that neither judge nor dispatcher waits for it; what must stay stays (see
openclick.store.retention).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from openclick.instants import SECOND, Instant
from openclick.logs import line
from openclick.sends import KEPT
from openclick.settings import RetentionSettings
from openclick.store import Registry, StoreFault
from openclick_sidecar.bookkeeper import Bookkeeper

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
_REST_SECONDS = 60.0
_STEP_ROWS = 500
_DAY = 86_400 * SECOND


@dataclass
class Retention:
    """The service: `tick` is called every TICK_SECONDS; `monotonic` is a clock in seconds."""

    bookkeeper: Bookkeeper
    settings: Callable[[], RetentionSettings]
    now: Callable[[], Instant]
    monotonic: Callable[[], float]
    _due_at: float = float("-inf")

    async def tick(self) -> None:
        """Take a step where one is due: a minute after the last, a second where rows went."""
        if self.monotonic() < self._due_at:
            return
        self._due_at = self.monotonic() + _REST_SECONDS
        try:
            if await self.bookkeeper.run(self._step):
                self._due_at = self.monotonic() + TICK_SECONDS
        except StoreFault as fault:
            log.debug(line("retention", "not now", reason=fault))

    def _step(self, registry: Registry) -> int:
        settings, now = self.settings(), self.now()
        sweep = registry.retention
        # A day longer than its hit: a hit without its verdict would be taken for a new one.
        verdicts = sweep.sweep_verdicts(now - (settings.hits_days + 1) * _DAY, _STEP_ROWS)
        events_before = now - settings.events_days * _DAY
        deliveries = sweep.sweep_deliveries(events_before, _STEP_ROWS)
        claims = registry.sends.sweep(now - KEPT, _STEP_ROWS)
        return verdicts + deliveries + claims + sweep.sweep_events(events_before, _STEP_ROWS)
