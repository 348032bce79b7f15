"""How long the milter waits for its commit, alone and beside a sidecar that takes all it can.

The milter's own recorder commits 200 rows a second in a process of its own, into the store that
the sidecar reads and writes beside it.  It is not pinned: it takes its turns on both processors, as
a milter would on such a machine.
"""

from __future__ import annotations

import time

from bench import floor, http_load
from bench.experiment import BenchFault, Experiment, Values, in_turn
from bench.http_load import KEEP_ALIVE

_ROWS_A_SECOND = 200
_WARMING_SECONDS = 1.0
_LEAST_SHARE = 0.5


class MilterCommits(Experiment):
    """Values: milliseconds from handing a row over to having it on disk, p99 and p50, by variant.

    The variants are "alone" (no sidecar runs) and "saturated".
    """

    name = "commits"

    @property
    def note(self) -> str:
        """How many rows a point has."""
        return f"{_ROWS_A_SECOND} rows a second for {self._seconds} s a point"

    @property
    def _seconds(self) -> int:
        return self.scale.of(usual=8, quick=2)

    def prepare(self) -> None:
        """See that the load can be made, and make the links."""
        http_load.check_program()
        assert self.world.tracker.links

    def round(self, backwards: bool) -> Values:
        """Commit alone and beside the sidecar."""
        values: dict[str, float] = {}
        for variant in in_turn(("alone", "saturated"), backwards):
            self.say(f"commits: {variant}")
            waits = self._saturated() if variant == "saturated" else self._commit()
            values |= {f"{variant} {name}": waits[name] for name in ("p50", "p99")}
        return values

    def _saturated(self) -> Values:
        tracker = self.world.tracker
        with (
            tracker.serving_afresh() as server,
            http_load.pressing(server.port, tracker.links, KEEP_ALIVE) as press,
        ):
            time.sleep(_WARMING_SECONDS)
            waits = self._commit()
            answered = press.end()
        if answered.a_second < _ROWS_A_SECOND:
            raise BenchFault(f"the load came to nothing: {answered.a_second:.0f} hits a second")
        return waits

    def _commit(self) -> Values:
        waits = floor.run_worker(
            "commits",
            f"--store={self.world.tracker.state}",
            f"--seconds={self._seconds}",
            f"--a-second={_ROWS_A_SECOND}",
        )
        if waits["rows"] < _LEAST_SHARE * _ROWS_A_SECOND * self._seconds:
            raise BenchFault(f"only {waits['rows']:g} rows were committed in {self._seconds} s")
        return waits
