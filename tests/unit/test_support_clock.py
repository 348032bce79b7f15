"""The clock of the tests moves only when told."""

import pytest

from support.clock import Clock


def test_both_hands_advance_together() -> None:
    """What passes on one clock passes on the other."""
    clock = Clock(wall=100.0, monotonic=5.0)

    clock.advance(2.5)

    assert (clock.wall(), clock.monotonic()) == (102.5, 7.5)


def test_setting_the_wall_clock_back_leaves_the_monotonic_hand() -> None:
    """As NTP or an administrator does it."""
    clock = Clock(wall=100.0, monotonic=5.0)

    clock.set_wall(40.0)

    assert (clock.wall(), clock.monotonic()) == (40.0, 5.0)


def test_time_does_not_advance_backwards() -> None:
    """A negative advance is a mistake in the test."""
    with pytest.raises(ValueError, match="set_wall"):
        Clock().advance(-1)
