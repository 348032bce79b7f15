"""An experiment: something that measures ours and its anchors in one round, in either order.

Who calls: run, round by round; the modules that hold the experiments derive from `Experiment`.
Promises: a round measures all variants one after another, so that a slow minute of the machine
falls on all of them; `prepare` is not measured.  A fault ends the experiment, not the run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.world import World

Values = Mapping[str, float]
"""What one round measured, by variant."""


class BenchFault(Exception):
    """Something cannot be measured here, or what was measured is not what was meant: one line."""


@dataclass(frozen=True)
class Scale:
    """How much is measured: `full` takes sizes that need long, `quick` is for trying the bench."""

    quick: bool = False
    full: bool = False

    def of(self, usual: int, quick: int, full: int | None = None) -> int:
        """Choose a number."""
        if self.quick:
            return quick
        return full if self.full and full is not None else usual


class Experiment(ABC):
    """One experiment of a run.  `say` shows what is going on just now.

    `lacking` says, where only an anchor cannot be measured, why not.
    """

    name: str
    most_rounds: int | None = None

    def __init__(self, world: World, scale: Scale, say: Callable[[str], None]) -> None:
        self.world = world
        self.scale = scale
        self.say = say
        self.lacking = ""

    @property
    def note(self) -> str:
        """What a reader of the figure has to know; empty for nothing."""
        return ""

    def prepare(self) -> None:  # noqa: B027 - not every experiment has to
        """Start what the rounds need.  Raises BenchFault."""

    @abstractmethod
    def round(self, backwards: bool) -> Values:
        """Measure every variant once, the last one first where `backwards`.  Raises BenchFault."""


def in_turn(variants: Sequence[str], backwards: bool) -> Sequence[str]:
    """Return the variants in the order of this round."""
    return tuple(reversed(variants)) if backwards else variants
