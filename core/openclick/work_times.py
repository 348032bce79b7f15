"""How long the milter works on messages, as its heartbeat carries it: counts by upper bounds.

Written by the milter's counters, read by the sidecar's metrics and status page.  Pure.  The names
have a dot, which tells them from plain counts.

Limits: a quantile is as exact as its bucket is narrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BOUNDS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
SUM_NAME = "work.sum_us"
_BEYOND = float("inf")


def bucket_name(seconds: float) -> str:
    """Return the name of the count that a message belongs to that took so long."""
    return _name(next((bound for bound in BOUNDS_SECONDS if seconds <= bound), _BEYOND))


@dataclass(frozen=True)
class WorkTimes:
    """Messages by how long they took: `counts` for each of BOUNDS_SECONDS, and beyond the last."""

    counts: tuple[int, ...]
    sum_seconds: float

    @classmethod
    def of(cls, counters: Mapping[str, int]) -> WorkTimes:
        """Read them from a heartbeat's counters."""
        names = map(_name, (*BOUNDS_SECONDS, _BEYOND))
        counts = tuple(counters.get(name, 0) for name in names)
        return cls(counts, counters.get(SUM_NAME, 0) / 1_000_000)

    @property
    def messages(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def cumulative(self) -> list[tuple[float, int]]:
        """Return for each upper bound, the last one infinite, how many took no longer."""
        found, below = [], 0
        for bound, count in zip((*BOUNDS_SECONDS, _BEYOND), self.counts, strict=True):
            below += count
            found.append((bound, below))
        return found

    def within_seconds(self, share: float) -> float | None:
        """Return the upper bound within which this share of messages was done.

        None where there were none; infinite where the share reaches beyond the last bound.
        """
        wanted = share * self.messages
        return next((bound for bound, done in self.cumulative() if done and done >= wanted), None)


def _name(bound: float) -> str:
    return f"work.le_{bound:g}"
