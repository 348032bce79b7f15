"""The two experiments without Postfix: instrumenting alone, and hostile mail.

Each round is a worker process on Debian's python3 (bench.workers).  Both count CPU time.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench import floor
from bench.experiment import Experiment, Values
from bench.figure import Pair

_ONCE, _TWICE = " once", " twice"
_MEASURABLE_SECONDS = 0.005


class Instrumenting(Experiment):
    """Values: mails a second of CPU, `ours` and `email` (standard library and BeautifulSoup)."""

    name = "instrumenting"

    def round(self, backwards: bool) -> Values:
        """Let a worker do both."""
        self.say("instrumenting in-process")
        seconds = self.scale.of(usual=2, quick=1)
        return floor.run_worker("instrumenting", f"--seconds={seconds}", *_order(backwards))


class Hostile(Experiment):
    """Values: CPU seconds, "KIND once" and "KIND twice" for each kind of bomb."""

    name = "hostile"

    @property
    def note(self) -> str:
        """How large the mails are."""
        return f"{self._size // 1000} KB, then twice that; the worst of all kinds"

    @property
    def _size(self) -> int:
        return self.scale.of(usual=250_000, quick=100_000, full=1_000_000)

    def round(self, backwards: bool) -> Values:
        """Let a worker time every kind."""
        self.say("hostile mail in-process")
        return floor.run_worker("hostile", f"--size={self._size}", *_order(backwards), timeout=1800)


def growth_of_time(values: Values) -> Mapping[str, Pair]:
    """Pair twice the size with once, for each kind that takes long enough to be measured."""
    kinds = [name.removesuffix(_ONCE) for name in values if name.endswith(_ONCE)]
    pairs = {
        kind: Pair(values[kind + _TWICE] * 1000, values[kind + _ONCE] * 1000) for kind in kinds
    }
    return {kind: pair for kind, pair in pairs.items() if pair.ours >= _MEASURABLE_SECONDS * 1000}


def _order(backwards: bool) -> list[str]:
    return ["--backwards"] if backwards else []
