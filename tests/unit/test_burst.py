"""Bursts: three links of one copy within a second from one network (DESIGN 6)."""

import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick.hits import Click
from openclick.instants import SECOND
from openclick_sidecar.burst import LINKS, WINDOW, bursts, network


def clicks(*made: tuple[float, int], ip: str = "192.0.2.7", copy: bytes = b"copy") -> list[Click]:
    """Return a click for each (seconds, link)."""
    return [
        Click(place, round(at * SECOND), b"e" * 16, copy, link, ip)
        for place, (at, link) in enumerate(made, start=1)
    ]


def test_three_links_within_a_second() -> None:
    """All of them, the first one too; the evidence tells what was seen."""
    evidence = "3 links of one copy within 1.00 s from 192.0.2.0/24"

    assert dict.fromkeys([1, 2, 3], evidence) == bursts(clicks((0, 0), (0.4, 1), (1.0, 2)))


@pytest.mark.parametrize(
    "made",
    [
        [(0, 0), (0.4, 1), (1.000001, 2)],  # a microsecond too slow
        [(0, 0), (0.4, 1), (0.5, 1), (0.6, 0)],  # two links, often
        [(0, 0), (0.1, 1)],
        [],
    ],
)
def test_no_burst(made: list[tuple[float, int]]) -> None:
    """Readers are slower, and click twice on the same."""
    assert bursts(clicks(*made)) == {}


def test_neighbours_of_a_burst() -> None:
    """A click that no window of a second ties to three links is judged by itself."""
    found = bursts(clicks((0, 0), (5.0, 1), (5.2, 2), (5.4, 3), (6.1, 1), (9.0, 4)))

    assert {2, 3, 4, 5} == found.keys()
    assert {"3 links of one copy within 1.10 s from 192.0.2.0/24"} == set(found.values())


def test_two_bursts_have_evidence_of_their_own() -> None:
    """A scanner that comes twice is two bursts."""
    found = bursts(clicks((0, 0), (0, 1), (0, 2), (9, 0), (9, 1), (9, 2), (9, 3)))

    assert [3] * 3 + [4] * 4 == [int(found[place].split()[0]) for place in range(1, 8)]


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("192.0.2.7", "192.0.2.250", True),
        ("192.0.2.7", "192.0.3.7", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::9", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.7", "192.0.2.8", True),
        ("unix", "unix", True),
        ("", "192.0.2.7", False),
    ],
)
def test_one_network(one: str, other: str, together: bool) -> None:
    """A scanner works from a /24 or a /64; IPv4 over IPv6 is IPv4."""
    pair = clicks((0, 0), (0, 1), ip=one)
    third = Click(3, 0, b"e" * 16, b"copy", 2, other)

    assert together == bool(bursts([*pair, third]))


def test_one_copy() -> None:
    """Links of two copies are two readers'."""
    assert bursts([*clicks((0, 0), (0, 1)), *clicks((0, 0), (0, 2), copy=b"else")]) == {}


def test_order_does_not_matter() -> None:
    """Places in hits.db and instants need not agree."""
    made = clicks((0.8, 2), (0, 0), (0.4, 1))

    assert {1, 2, 3} == bursts(made).keys() == bursts(reversed(made)).keys()


def test_networks_are_named() -> None:
    """As an admin would write them."""
    assert network("192.0.2.7") == "192.0.2.0/24"
    assert network("2001:db8:0:1:2:3:4:5") == "2001:db8:0:1::/64"
    assert network("nonsense") == "nonsense"


@given(st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(0, 4)), max_size=12))
def test_as_the_definition_says(made: list[tuple[int, int]]) -> None:
    """A click belongs to a burst exactly if some window of a second around it has three links."""
    all_clicks = [
        Click(place, at, b"e", b"c", link, "192.0.2.7") for place, (at, link) in enumerate(made)
    ]
    expected = {
        click.position
        for click in all_clicks
        for begin, _ in made
        if begin <= click.received_at <= begin + WINDOW
        and len({link for at, link in made if begin <= at <= begin + WINDOW}) >= LINKS
    }

    assert expected == bursts(all_clicks).keys()


def lines_run(made: list[Click]) -> int:
    """Return how many lines of Python `bursts` runs."""
    count = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        bursts(made)
    finally:
        sys.settrace(None)
    return count


def test_a_flood_on_one_message_is_no_more_work_than_on_many() -> None:
    """Linear: ten times the clicks of one copy, within a second, take ten times the work."""
    few = [Click(n, n, b"e", b"c", n % 40, "192.0.2.7") for n in range(1_000)]
    many = [Click(n, n, b"e", b"c", n % 40, "192.0.2.7") for n in range(10_000)]

    assert lines_run(many) < 11 * lines_run(few)
