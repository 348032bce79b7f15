"""Instants: microseconds inside, ISO 8601 outside."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from openclick.instants import SECOND, iso, now

YEAR_9999 = 253_402_300_799


def test_iso_has_milliseconds_and_a_z() -> None:
    """People and JSON see UTC with exactly three decimals."""
    assert iso(1_795_472_400 * SECOND + 123_456) == "2026-11-23T22:20:00.123Z"


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
