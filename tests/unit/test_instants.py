"""Instants: microseconds inside, ISO 8601 outside."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick.instants import SECOND, iso, maybe_iso, now, parse_iso

YEAR_9999 = 253_402_300_799


def test_iso_has_milliseconds_and_a_z() -> None:
    """People and JSON see UTC with exactly three decimals."""
    assert iso(1_795_472_400 * SECOND + 123_456) == "2026-11-23T22:20:00.123Z"


def test_iso_of_no_moment() -> None:
    """None stays None, and the epoch is a moment like any other."""
    assert [maybe_iso(None), maybe_iso(0)] == [None, "1970-01-01T00:00:00.000Z"]


def test_iso_cuts_and_never_rounds_up() -> None:
    """The last microsecond of a second stays in that second."""
    assert iso(1_795_472_400 * SECOND - 1) == "2026-11-23T22:19:59.999Z"


@given(st.integers(0, YEAR_9999 * SECOND))
def test_iso_reads_back_to_the_millisecond(at: int) -> None:
    """Nothing is lost but what lies below a millisecond."""
    read = datetime.fromisoformat(iso(at))

    assert read == datetime.fromtimestamp(at // SECOND, UTC).replace(
        microsecond=at % SECOND // 1000 * 1000
    )


def test_now_is_in_microseconds() -> None:
    """The wall clock is read in the unit that the store keeps."""
    seconds = datetime.now(UTC).timestamp()

    assert abs(now() / SECOND - seconds) < 5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-23T22:20:00Z", 0),
        ("2026-11-23T22:20:00.123Z", 0.123),
        (" 2026-11-23 22:20:00 ", 0),
        ("2026-11-23T23:20:00+01:00", 0),
        ("2026-11-23", -80_400),
    ],
)
def test_an_instant_is_read(text: str, seconds: float) -> None:
    """In UTC where no offset is named."""
    assert 1_795_472_400 * SECOND + int(seconds * SECOND) == parse_iso(text)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "1795472400", "22:20"])
def test_what_is_no_instant(text: str) -> None:
    """The error shows the form that is needed."""
    with pytest.raises(ValueError, match="2026-11-27T08:00:00Z"):
        parse_iso(text)
