"""How long the milter works on messages, from its counters to a quantile."""

import pytest

from openclick.work_times import WorkTimes
from openclick_milter.counters import Counters


def times(*seconds: float) -> WorkTimes:
    """Return what a heartbeat would carry of messages that took so long."""
    counters = Counters()
    for each in seconds:
        counters.worked(each)
    return WorkTimes.of(counters.snapshot())


def test_counts_by_upper_bound() -> None:
    """A message counts where its time is no longer than the bound."""
    found = times(0.001, 0.0011, 7.0)

    assert found.messages == 3
    assert found.sum_seconds == pytest.approx(7.0021)
    assert found.cumulative()[:3] == [(0.001, 1), (0.0025, 2), (0.005, 2)]
    assert found.cumulative()[-1] == (float("inf"), 3)


@pytest.mark.parametrize(("share", "bound"), [(0.5, 0.0025), (0.9, 0.0025), (0.95, 0.1), (1, 0.1)])
def test_within_what_time_a_share_was_done(share: float, bound: float) -> None:
    """The upper bound of the bucket in which the share is reached."""
    assert times(*[0.002] * 9, 0.06).within_seconds(share) == bound


def test_beyond_the_last_bound() -> None:
    """Nobody knows how far."""
    assert times(9.0).within_seconds(0.5) == float("inf")


def test_no_message() -> None:
    """No time."""
    assert WorkTimes.of({"instrumented": 5}).within_seconds(0.5) is None
