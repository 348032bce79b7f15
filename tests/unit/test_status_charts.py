"""Charts as SVG, and how the status page writes numbers."""

import re

import pytest

from openclick.instants import SECOND
from openclick_sidecar.status.charts import Series, ceiling, spark, stacked
from openclick_sidecar.status.markup import Markup, join, raw, tag
from openclick_sidecar.status.words import ago, clock, percent, size, span
from unit.samples import NOW

BAR = re.compile(r"M([\d.]+) ([\d.]+)v-([\d.]+)")


@pytest.mark.parametrize(
    ("most", "end"), [(0, 1), (1, 1), (3, 4), (5, 6), (7, 10), (100, 100), (101, 200), (4001, 6000)]
)
def test_the_scale_ends_at_a_round_number(most: int, end: int) -> None:
    """Never below the highest bar."""
    assert ceiling(most) == end


def test_bars_stand_on_each_other() -> None:
    """Each as high as its number, the second on the first; a zero is no bar."""
    chart = stacked(
        "Opens", ["1", "2"], [Series("people", "a", [5, 0]), Series("proxies", "b", [2, 10])]
    )

    first, second = (BAR.findall(path) for path in re.findall(r'<path d="(M\d[^"h]*)"', chart))
    assert first == [("5", "100", "50")]
    assert second == [("5", "50", "20"), ("15", "100", "100")]


def test_a_column_tells_its_numbers() -> None:
    """To whoever points at it, without zeros; the whole chart to whoever does not see it."""
    parts = [Series("people", "a", [1234]), Series("dropped", "b", [0])]
    chart = stacked("Opens", ["1 Nov"], parts)

    assert "<title>1 Nov\npeople: 1,234</title>" in chart
    assert 'aria-label="Opens: people 1,234, dropped 0"' in chart
    assert "<b>1,234</b>" in chart


def test_nothing_happened() -> None:
    """An empty chart has its axis, and no bar."""
    chart = stacked("Opens", ["1", "2"], [Series("people", "a", [0, 0])])

    assert BAR.findall(chart) == []
    assert "<span>1</span>" in chart


def test_a_sparkline() -> None:
    """A small number still is a bar that one sees."""
    line = spark([0, 1, 1000], "a", "Mail")

    (low, high) = BAR.findall(line)
    assert float(low[2]) > 1
    assert high[2] == "24"


def test_markup_escapes_what_is_none() -> None:
    """Text, attributes, numbers, in whatever depth."""
    made = tag("p", "<b>", ["&", tag("i", "<")], None, 5, title='"<', hidden=True, id=None)

    assert made == '<p title="&quot;&lt;" hidden>&lt;b&gt;&amp;<i>&lt;</i>5</p>'
    assert join([raw("<br>"), "<br>"]) == "<br>&lt;br&gt;"
    assert isinstance(made, Markup)


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "–"),
        (0, 5, "0 %"),
        (5, 5, "100 %"),
        (1, 3, "33.3 %"),
        (1, 5000, "< 0.1 %"),
        (9999, 10_000, "> 99.9 %"),
    ],
)
def test_shares(part: int, whole: int, text: str) -> None:
    """What is only nearly all or nothing is not said to be so."""
    assert percent(part, whole) == text


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (300 * 2**20, "300 MiB")],
)
def test_sizes(bytes_: int, text: str) -> None:
    """In binary units."""
    assert size(bytes_) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7300, "2 h"), (10**6, "11 d")],
)
def test_spans(seconds: float, text: str) -> None:
    """In the largest unit of which there are two."""
    assert span(seconds) == text


def test_instants() -> None:
    """How long ago, how long to come, never; a time of day, with the date where it is another."""
    texts = [ago(NOW - 5 * SECOND, NOW), ago(NOW + 200 * SECOND, NOW), ago(None, NOW)]
    clocks = [clock(NOW, NOW), clock(NOW - 86_400 * SECOND, NOW)]

    assert [re.sub("<[^>]+>", "", text) for text in texts] == ["5 s ago", "in 3 min", "never"]
    assert clocks == ["22:40:00", "22 Nov 22:40"]
    assert 'title="2025-11-23T22:39:55.123Z"' in texts[0]
