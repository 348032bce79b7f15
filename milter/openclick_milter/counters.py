"""What the milter has done since it started, counted for its heartbeat.

Called by `submission`; read by the recorder.  Safe to use from libmilter's threads.
"""

from __future__ import annotations

import threading
from collections import Counter

from openclick.instants import Instant
from openclick.store.messages import CONNECTED_NAME
from openclick.work_times import SUM_NAME, bucket_name


class Counters:
    """Counts by name: instrumented, untouched, foreign, faults, links, and how long work took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str, number: int = 1) -> None:
        """Count `number` more of `name`."""
        with self._lock:
            self._counts[name] += number

    def worked(self, seconds: float) -> None:
        """Count a message that was worked on for so long."""
        self.add(bucket_name(seconds))
        self.add(SUM_NAME, round(seconds * 1_000_000))

    def connected(self, at: Instant) -> None:
        """Note when Postfix was last here."""
        with self._lock:
            self._counts[CONNECTED_NAME] = at

    def snapshot(self) -> dict[str, int]:
        """Return all counts of this moment."""
        with self._lock:
            return dict(self._counts)
