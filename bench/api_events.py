"""A page of 100 events by each filter, with a million of them stored, against ten thousand.

A worker on Debian's python3 fills both stores by way of the store's own door and then asks for
pages: the search that the API makes, without the HTTP around it, which is the same for both and
would hide a difference.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench import floor
from bench.experiment import BenchFault, Experiment, Values
from bench.figure import Pair

_FILL_SECONDS = 1800.0
_MANY, _FEW = "many", "few"


class ApiEvents(Experiment):
    """Values: microseconds a page, by filter, "... many" and "... few"."""

    name = "api events"

    @property
    def note(self) -> str:
        """How many events are stored."""
        return f"{self._rows[_MANY]:,} events against {self._rows[_FEW]:,}"

    @property
    def _rows(self) -> Mapping[str, int]:
        return {_MANY: self.scale.of(usual=1_000_000, quick=50_000), _FEW: 10_000}

    def prepare(self) -> None:
        """Fill both stores."""
        if floor.missing_reason():
            raise BenchFault(floor.missing_reason())
        for size, rows in self._rows.items():
            self.say(f"api events: writing {rows:,}")
            self._work(size, f"--fill={rows}", timeout=_FILL_SECONDS)

    def round(self, backwards: bool) -> Values:
        """Ask for pages in both."""
        sizes = (_MANY, _FEW) if backwards else (_FEW, _MANY)
        values: dict[str, float] = {}
        for size in sizes:
            self.say(f"api events: {size}")
            pages = self._work(size, timeout=_FILL_SECONDS)
            values |= {f"{name} {size}": taken for name, taken in pages.items()}
        return values

    def _work(self, size: str, *arguments: str, timeout: float) -> Mapping[str, float]:
        directory = self.world.directory / f"events-{size}"
        directory.mkdir(exist_ok=True)
        return floor.run_worker("event_pages", f"--store={directory}", *arguments, timeout=timeout)


def by_filter(values: Values) -> Mapping[str, Pair]:
    """Compare each filter with itself; the worst stands for the figure."""
    names = [name.removesuffix(f" {_MANY}") for name in values if name.endswith(f" {_MANY}")]
    return {name: Pair(values[f"{name} {_MANY}"], values[f"{name} {_FEW}"]) for name in names}
