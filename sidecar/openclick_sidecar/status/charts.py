"""Charts as SVG: stacked bars with an axis, and sparklines.

Used by `page`.  Pure; numbers in, markup out.  The drawing is stretched to the width there is, so
everything that is read stands beside it in HTML.  A column tells its numbers when it is pointed at,
and the whole chart is a table to whoever does not see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openclick_sidecar.status.markup import Markup, tag
from openclick_sidecar.status.words import number

_HEIGHT = 100
_STEP = 10
_SPARK_HEIGHT = 24


@dataclass(frozen=True)
class Series:
    """One part of every bar: its name, its class in the style sheet, its numbers."""

    name: str
    style: str
    values: Sequence[int]


def stacked(title: str, labels: Sequence[str], series: Sequence[Series], note: str = "") -> Markup:
    """Return a chart of bars, the first series at the bottom; one label a bar."""
    totals = [sum(column) for column in zip(*(one.values for one in series), strict=True)]
    top = ceiling(max(totals, default=0))
    drawing = tag(
        "svg",
        _grid(len(labels)),
        [_bars(one.style, *_stack(series, index), top) for index, one in enumerate(series)],
        [_hover(index, label, series) for index, label in enumerate(labels)],
        viewBox=f"0 0 {_STEP * len(labels)} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{title}: {', '.join(f'{one.name} {sum(one.values):,}' for one in series)}",
    )
    return tag(
        "figure",
        tag("figcaption", tag("h3", title), _legend(series)),
        tag(
            "div",
            tag("div", tag("span", number(top)), tag("span", _half(top)), class_="scale"),
            drawing,
            class_="plot",
        ),
        tag("div", [tag("span", each) for each in _ends(labels)], class_="axis"),
        tag("p", note, class_="note") if note else None,
        class_="chart",
    )


def spark(values: Sequence[int], style: str, label: str) -> Markup:
    """Return a small chart without an axis."""
    top = max(values, default=0) or 1
    steps = [
        _bar(index, 0, max(value / top, 0.08 if value else 0), _SPARK_HEIGHT)
        for index, value in enumerate(values)
        if value
    ]
    return tag(
        "svg",
        tag("path", d=f"M0 {_SPARK_HEIGHT - 0.5}h{_STEP * len(values)}", class_="ground"),
        tag("path", d="".join(steps), class_=style) if steps else None,
        viewBox=f"0 0 {_STEP * len(values)} {_SPARK_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
        class_="spark",
    )


def ceiling(most: int) -> int:
    """Return where the scale ends: the least of 1, 2, 4, 6, 10, 20, ... that is not below."""
    power = 1
    while True:
        for step in (1, 2, 4, 6):
            if step * power >= most:
                return step * power
        power *= 10


def _half(top: int) -> str:
    return number(top // 2) if top % 2 == 0 else ""


def _stack(series: Sequence[Series], index: int) -> tuple[list[int], Sequence[int]]:
    """Return what lies below a series in each column, and its own values."""
    below = [sum(one.values[at] for one in series[:index]) for at in range(len(series[0].values))]
    return below, series[index].values


def _bars(style: str, below: Sequence[int], values: Sequence[int], top: int) -> Markup | None:
    steps = [
        _bar(index, low / top, value / top, _HEIGHT)
        for index, (low, value) in enumerate(zip(below, values, strict=True))
        if value
    ]
    return tag("path", d="".join(steps), class_=style) if steps else None


def _bar(index: int, low: float, part: float, height: int) -> str:
    """Return a line as long as the bar is tall; the style sheet makes it as thick as one."""
    bottom = height - low * height
    return f"M{index * _STEP + _STEP // 2} {bottom:.3g}v{-part * height:.3g}"


def _grid(columns: int) -> Markup:
    wide = _STEP * columns
    lines = "".join(f"M0 {at}h{wide}" for at in (0.5, _HEIGHT / 2, _HEIGHT - 0.5))
    return tag("path", d=lines, class_="grid")


def _hover(index: int, label: str, series: Sequence[Series]) -> Markup:
    told = [f"\n{one.name}: {one.values[index]:,}" for one in series if one.values[index]]
    return tag(
        "rect",
        tag("title", f"{label}{''.join(told)}"),
        x=index * _STEP,
    )


def _legend(series: Sequence[Series]) -> Markup:
    return tag(
        "ul",
        [
            tag("li", tag("i", class_=f"swatch {one.style}"), one.name, " ", _sum(one))
            for one in series
        ],
        class_="legend",
    )


def _sum(one: Series) -> Markup:
    return tag("b", number(sum(one.values)))


def _ends(labels: Sequence[str]) -> list[str]:
    """Return the labels that stand below the axis: first, middle, last."""
    return [labels[0], labels[len(labels) // 2], labels[-1]] if labels else []
