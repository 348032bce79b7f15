"""What the milter has done since it started, counted for its heartbeat.

Called by `submission`; read by the recorder.  Safe to use from libmilter's threads.
"""

from __future__ import annotations

import threading
from collections import Counter


class Counters:
    """Counts by name: instrumented, untouched, foreign, faults, links."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str, number: int = 1) -> None:
        """Count `number` more of `name`."""
        with self._lock:
            self._counts[name] += number

    def snapshot(self) -> dict[str, int]:
        """Return all counts of this moment."""
        with self._lock:
            return dict(self._counts)
