"""What a run has shown: a table for people, JSON for programs.

Who calls: run.  Promises: every figure that was asked for has a row, also where it could not be
measured, with the reason; the machine, its load and the place of the queue are told with them.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from itertools import starmap
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.figure import Beside, Outcome, Pair, ratios_of

_VERDICTS = {True: "[green]reached[/]", False: "[red]missed[/]", None: "[yellow]not run[/]"}


def print_table(console: Console, outcomes: Sequence[Outcome], machine: Mapping[str, Any]) -> None:
    """Print the table and what belongs to it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("figure", no_wrap=True)
    table.add_column("measured : anchor", min_width=30, ratio=1)
    for heading in ("ratio", "range", "values", "target"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for outcome in outcomes:
        table.add_row(*_cells(outcome))
    console.print(table)
    for name, value in machine.items():
        console.print(f"{name}: {value}", highlight=False)


def write_json(path: Path, outcomes: Sequence[Outcome], machine: Mapping[str, Any]) -> None:
    """Write all that was measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine, "figures": [as_json(outcome) for outcome in outcomes]}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON shows it; ratios and values are null where there are none."""
    figure, ratios = outcome.figure, outcome.ratios
    return {
        "name": figure.name,
        "measured": figure.measured,
        "anchor": figure.anchor,
        "target": str(figure.target),
        "reached": outcome.reached,
        "stretch_reached": outcome.stretch_reached,
        "ratio": outcome.median if ratios else None,
        "lowest": min(ratios, default=None),
        "highest": max(ratios, default=None),
        "unit": figure.unit,
        "case": outcome.case,
        "rounds": [pair._asdict() for pair in outcome.pairs],
        "case_ratios": dict(outcome.medians or {}),
        "beside": [
            {
                "label": beside.label,
                "unit": beside.unit,
                "ratio": statistics.median(ratios_of(pairs)),
                "rounds": [pair._asdict() for pair in pairs],
            }
            for beside, pairs in outcome.beside.items()
        ],
        "note": outcome.note,
        "fault": outcome.fault,
    }


def _cells(outcome: Outcome) -> tuple[str, ...]:
    figure = outcome.figure
    story = f"{figure.measured} : {figure.anchor}"
    beside = starmap(_aside, outcome.beside.items())
    case = outcome.case and f"worst: {outcome.case}"
    for more in (*beside, case, outcome.note, outcome.fault):
        story += f"\n[dim]{more}[/]" if more else ""
    verdict = _VERDICTS[outcome.reached] + (" and stretch" if outcome.stretch_reached else "")
    if not outcome.pairs:
        return figure.name, story, "-", "-", "-", str(figure.target), verdict
    values = f"{_values(outcome.pairs)}\n{figure.unit}"
    return (
        *(figure.name, story, f"[bold]{_short(outcome.median)}[/]", _spread(outcome.pairs), values),
        *(str(figure.target), verdict),
    )


def _aside(beside: Beside, pairs: Sequence[Pair]) -> str:
    median = _short(statistics.median(ratios_of(pairs)))
    return f"{beside.label}: {median} ({_spread(pairs)}), {_values(pairs)} {beside.unit}"


def _spread(pairs: Sequence[Pair]) -> str:
    ratios = ratios_of(pairs)
    return f"{_short(min(ratios))}–{_short(max(ratios))}"


def _values(pairs: Sequence[Pair]) -> str:
    ours = statistics.median(pair.ours for pair in pairs)
    anchor = statistics.median(pair.anchor for pair in pairs)
    return f"{_short(ours)} : {_short(anchor)}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
