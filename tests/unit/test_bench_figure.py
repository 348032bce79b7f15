"""The bench's verdicts: what rounds of values say of a figure, and what is shown beside it."""

import pytest
from bench.experiment import Experiment, Values
from bench.figure import Beside, Cases, Figure, Pair, Target, between, each_against, judge
from bench.report import as_json

CPU = Beside("CPU a hit", "ours CPU", "anchor CPU", "µs")


def a_figure(cases: Cases | None = None, *, at_least: bool = True) -> Figure:
    """Return a figure with a target of 1.5 and a stretch of 2."""
    return Figure(
        name="hits",
        measured="ours",
        anchor="the anchor",
        target=Target(1.5, at_least=at_least, stretch=2),
        unit="hits/s",
        experiment=Experiment,
        cases=cases or between("ours", "anchor"),
        beside=(CPU,),
    )


def rounds(*ratios: float) -> list[Values]:
    """Return rounds in which ours is so many times the anchor."""
    return [{"ours": ratio * 100, "anchor": 100} for ratio in ratios]


def test_median_of_the_rounds_ratios_stands_for_a_figure() -> None:
    """One slow second of the machine decides nothing."""
    outcome = judge(a_figure(), rounds(1.6, 0.2, 1.7))

    assert outcome.median == pytest.approx(1.6)
    assert outcome.reached is True
    assert not outcome.stretch_reached


@pytest.mark.parametrize(("at_least", "worst"), [(True, "slow"), (False, "fast")])
def test_worst_case_stands_for_a_figure(at_least: bool, worst: str) -> None:
    """Which case that is depends on the side of the target on which the good values lie."""
    figure = a_figure(each_against("anchor", "slow", "fast"), at_least=at_least)

    outcome = judge(figure, [{"slow": 100, "fast": 300, "anchor": 100}])

    assert outcome.case == worst


def test_a_figure_without_its_anchor_says_what_is_missing() -> None:
    """It is told from a figure that missed its target."""
    outcome = judge(a_figure(), [{"ours": 100}], lacking="no nginx command found")

    assert outcome.reached is None
    assert outcome.fault == "no nginx command found"


def test_what_stands_beside_a_figure_has_the_pairs_of_its_rounds() -> None:
    """It does not touch the verdict, however bad it is."""
    values = [each | {"ours CPU": 60, "anchor CPU": 20} for each in rounds(1.5, 1.5)]

    outcome = judge(a_figure(), values)

    assert outcome.beside == {CPU: (Pair(60, 20), Pair(60, 20))}
    assert outcome.reached is True


def test_what_was_not_measured_does_not_stand_beside_a_figure() -> None:
    """Where the bench runs on Debian's python3 there is no newest one to show."""
    outcome = judge(a_figure(), rounds(1.5))

    assert outcome.beside == {}


def test_json_tells_what_stands_beside_a_figure() -> None:
    """A program reads there whether a slow rate was slow code or a slow machine."""
    outcome = judge(a_figure(), [rounds(1.5)[0] | {"ours CPU": 60, "anchor CPU": 20}])

    told = as_json(outcome)

    assert told["beside"] == [
        {
            "label": "CPU a hit",
            "unit": "µs",
            "ratio": 3.0,
            "rounds": [{"ours": 60, "anchor": 20}],
        }
    ]
