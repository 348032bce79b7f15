"""What the milter does in its store beside recording: its heartbeat, and the sweep of old rows.

Called by `recorder` in its thread, between commits, at most every ten seconds.  Promises: a sweep
goes in small steps, so that no mail waits long for the row that it needs; a fault is the recorder's
to log, and the next round tries again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from openclick import __version__
from openclick.instants import SECOND, Instant
from openclick.store import Heartbeat, MessageLog
from openclick_milter.counters import Counters

BEAT_SECONDS = 10.0
_SWEEP_ROWS = 500
_DAY_SECONDS = 86_400


@dataclass
class Housekeeping:
    """One milter's chores; `messages_days` is how long rows are kept."""

    counters: Counters
    messages_days: Callable[[], int]
    now: Callable[[], Instant]
    started_at: Instant

    def run(self, log: MessageLog) -> None:
        """Beat, and remove a step's worth of old rows.  Raises StoreFault."""
        now = self.now()
        log.beat(
            Heartbeat(os.getpid(), __version__, self.started_at, now, self.counters.snapshot())
        )
        log.sweep(now - self.messages_days() * _DAY_SECONDS * SECOND, _SWEEP_ROWS)
