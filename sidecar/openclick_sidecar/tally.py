"""How many hits got which verdict since the sidecar started.

Counted by `judging` in the bookkeeper's thread, once a verdict is on disk; read by whoever reports
figures, in any thread.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from openclick.verdicts import Verdict, Visitor


@dataclass
class VerdictTally:
    """Verdicts by visitor and rule."""

    _counts: Counter[tuple[Visitor, str]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, verdict: Verdict) -> None:
        """Count one."""
        with self._lock:
            self._counts[verdict.visitor, verdict.rule] += 1

    def counts(self) -> dict[tuple[Visitor, str], int]:
        """Return the counts by (visitor, rule)."""
        with self._lock:
            return dict(self._counts)
