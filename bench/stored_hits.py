"""What a hit costs with a million of them stored, against what it costs with none.

The cost is all the CPU time of the sidecar, from the first request until the judge has passed the
last hit, by the number of hits: so a table or an index that has become slow shows wherever it is.
The million is written once, by way of the store, together with verdicts, events and the judge's
cursor; it does not wait to be judged.
"""

from __future__ import annotations

import time

from bench import floor, http_load
from bench.experiment import BenchFault, Experiment, Values, in_turn
from bench.http_load import CONNECTIONS, KEEP_ALIVE
from bench.servers import Account

_FILL_SECONDS = 600.0
_LOOK_SECONDS = 3.0
_IDLE_SHARE = 0.2


class StoredHits(Experiment):
    """Values: microseconds of CPU a hit, answered and judged, "stored" and "none"."""

    name = "stored hits"

    @property
    def note(self) -> str:
        """How many hits are stored, and how long a point is."""
        return f"{self._rows:,} hits stored; {self._seconds} s a point, and until all is judged"

    @property
    def _rows(self) -> int:
        return self.scale.of(usual=1_000_000, quick=20_000)

    @property
    def _seconds(self) -> int:
        return self.scale.of(usual=2, quick=1)

    def prepare(self) -> None:
        """Fill a store."""
        http_load.check_program()
        full = self.world.full_tracker
        assert full.links
        self.say(f"stored hits: writing {self._rows:,}")
        done = floor.run_worker(
            "fill_store", f"--store={full.state}", f"--rows={self._rows}", timeout=_FILL_SECONDS
        )
        if done["rows"] != self._rows:
            raise BenchFault(f"{done['rows']:g} hits are stored instead of {self._rows}")
        with full.serving() as server:
            before = server.cpu_seconds()
            time.sleep(_LOOK_SECONDS)
            busy = (server.cpu_seconds() - before) / _LOOK_SECONDS
        if busy > _IDLE_SHARE:
            raise BenchFault(f"nobody asks, yet the sidecar is busy ({busy:.0%}): is it judging?")

    def round(self, backwards: bool) -> Values:
        """Measure with the full store and with an empty one."""
        values = {}
        for variant in in_turn(("none", "stored"), backwards):
            self.say(f"stored hits: {variant}")
            values[variant] = self._cost(variant)
        return values

    def _cost(self, variant: str) -> float:
        ours = self.world.full_tracker if variant == "stored" else self.world.tracker
        start = ours.serving if variant == "stored" else ours.serving_afresh
        with start() as server:
            stored, before = ours.rows(), server.cpu_seconds()
            answered = http_load.ask(server.port, ours.links, KEEP_ALIVE, self._seconds)
            ours.wait_until_judged()
            spent, added = server.cpu_seconds() - before, ours.rows() - stored
        account = Account()
        account.add(answered.requests, CONNECTIONS)
        account.check(added)
        return spent / added * 1e6
