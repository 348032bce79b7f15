"""What the milter does in its store beside recording: its heartbeat, and the sweep of old rows.

Called by `recorder` in its thread, between commits.  Promises: a sweep goes in small steps, so that
no mail waits long for the row that it needs, and in many of them while there is more to remove, so
that it keeps up with any rate of mail; a fault is the recorder's to log, and the next round tries
again.
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
SWEEP_AGAIN_SECONDS = 0.1
_SWEEP_ROWS = 200
"""Two thousand rows a second: four times the mails that a milter can track in one."""
_DAY_SECONDS = 86_400


@dataclass
class Housekeeping:
    """One milter's chores; `messages_days` is how long rows are kept."""

    counters: Counters
    messages_days: Callable[[], int]
    now: Callable[[], Instant]
    started_at: Instant

    def beat(self, log: MessageLog) -> None:
        """Write the heartbeat.  Raises StoreFault."""
        log.beat(
            Heartbeat(
                os.getpid(), __version__, self.started_at, self.now(), self.counters.snapshot()
            )
        )

    def sweep(self, log: MessageLog) -> bool:
        """Remove a step's worth of old rows; return whether there may be more.

        Raises StoreFault.
        """
        before = self.now() - self.messages_days() * _DAY_SECONDS * SECOND
        return log.sweep(before, _SWEEP_ROWS) == _SWEEP_ROWS
