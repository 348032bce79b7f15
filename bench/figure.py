"""A figure: a ratio that OpenClick promises, and whether a run has shown it.

Who calls: figures (to declare), run (to judge), report (to show).  Pure.  A figure is
`ours : anchor` for one or more cases, from the values of one experiment.  Each round gives a ratio
for each case; the case with the worst median stands for the figure.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.experiment import Experiment, Values


class Pair(NamedTuple):
    """What was measured for ours and for the anchor, in the same unit."""

    ours: float
    anchor: float

    @property
    def ratio(self) -> float:
        """Ours over the anchor."""
        return self.ours / self.anchor


Cases = Callable[[Values], Mapping[str, Pair]]
"""Picks the pairs of a figure, by case, out of a round's values."""


@dataclass(frozen=True)
class Target:
    """What is to be reached; `at_least` tells on which side of `reach` the good values lie."""

    reach: float
    at_least: bool
    stretch: float | None = None
    strictly: bool = False

    def met_by(self, ratio: float, bound: float | None = None) -> bool:
        """Tell whether `ratio` is on the good side of `bound` (of `reach` without one)."""
        bound = self.reach if bound is None else bound
        if self.at_least:
            return ratio >= bound
        return ratio < bound if self.strictly else ratio <= bound

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<" if self.strictly else "<="
        stretch = "" if self.stretch is None else f" (stretch {self.stretch:g})"
        return f"{sign} {self.reach:g}{stretch}"


@dataclass(frozen=True)
class Beside:
    """A comparison that is shown beside a figure and has no target: `label`, two values, a unit."""

    label: str
    ours: str
    anchor: str
    unit: str


@dataclass(frozen=True)
class Figure:
    """One row of the table: `measured : anchor` from an experiment's values."""

    name: str
    measured: str
    anchor: str
    target: Target
    unit: str
    experiment: type[Experiment]
    cases: Cases
    beside: tuple[Beside, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What a run says of a figure; `pairs` are those of the worst case, one a round.

    `beside` has the pairs of what is shown beside it, where they were measured; `fault` says why
    there are no pairs.
    """

    figure: Figure
    case: str = ""
    pairs: tuple[Pair, ...] = ()
    medians: Mapping[str, float] | None = None
    note: str = ""
    fault: str = ""
    beside: Mapping[Beside, tuple[Pair, ...]] = field(default_factory=dict)

    @property
    def ratios(self) -> list[float]:
        """The ratio of each round."""
        return ratios_of(self.pairs)

    @property
    def median(self) -> float:
        """The ratio that stands for the figure."""
        return statistics.median(self.ratios)

    @property
    def reached(self) -> bool | None:
        """Whether the target is met; None where nothing was measured."""
        return self.figure.target.met_by(self.median) if self.pairs else None

    @property
    def stretch_reached(self) -> bool:
        """Whether the further target, if there is one, is met too."""
        bound = self.figure.target.stretch
        return (
            bound is not None and bool(self.pairs) and self.figure.target.met_by(self.median, bound)
        )


def ratios_of(pairs: Sequence[Pair]) -> list[float]:
    """Return the ratio of each pair."""
    return [pair.ratio for pair in pairs]


def between(ours: str, anchor: str) -> Cases:
    """Compare two values of a round; the only case has no name."""
    return lambda values: {"": Pair(values[ours], values[anchor])} if anchor in values else {}


def each_against(anchor: str, *ours: str) -> Cases:
    """Compare each of several values with the same anchor; a case is named like its value."""
    return lambda values: (
        {name: Pair(values[name], values[anchor]) for name in ours} if anchor in values else {}
    )


def judge(figure: Figure, rounds: Sequence[Values], note: str = "", lacking: str = "") -> Outcome:
    """Return what the values of these rounds say of the figure.

    `lacking` says why an anchor may be missing in them.
    """
    by_case: dict[str, list[Pair]] = {}
    for values in rounds:
        for case, pair in figure.cases(values).items():
            by_case.setdefault(case, []).append(pair)
    # A case at the edge of what can be measured, seen in a few rounds only, is left out.
    by_case = {case: pairs for case, pairs in by_case.items() if 2 * len(pairs) > len(rounds)}
    if not by_case:
        return Outcome(figure, note=note, fault=lacking or "nothing was measured")
    medians = {
        case: statistics.median(pair.ratio for pair in pairs) for case, pairs in by_case.items()
    }
    pick_worst = min if figure.target.at_least else max
    worst = pick_worst(medians, key=lambda case: medians[case])
    beside = {each: _pairs_of(each, rounds) for each in figure.beside}
    return Outcome(
        figure,
        worst,
        tuple(by_case[worst]),
        medians,
        note,
        beside={each: pairs for each, pairs in beside.items() if pairs},
    )


def _pairs_of(beside: Beside, rounds: Sequence[Values]) -> tuple[Pair, ...]:
    names = {beside.ours, beside.anchor}
    return tuple(
        Pair(values[beside.ours], values[beside.anchor])
        for values in rounds
        if names <= values.keys()
    )
