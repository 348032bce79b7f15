"""When a delivery is tried again, and when it is given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick.instants import SECOND
from openclick_sidecar.backoff import gives_up, wait_seconds
from unit.samples import NOW

MINUTE, HOUR, DAY = 60, 3600, 86_400
LIST = [5, MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 12 * HOUR, 12 * HOUR]


def middle() -> float:
    """Be randomness without jitter."""
    return 0.5


@pytest.mark.parametrize(("attempts", "wait"), list(enumerate(LIST, start=1)))
def test_waits_after_each_attempt(attempts: int, wait: float) -> None:
    """The list of DESIGN 7, then every 12 hours."""
    assert wait == wait_seconds(attempts, middle)


@given(st.integers(1, 50), st.floats(0, 1))
def test_jitter_is_ten_percent(attempts: int, random: float) -> None:
    """So that receivers that went down together are not tried together."""
    base = wait_seconds(attempts, middle)

    assert 0.9 * base <= wait_seconds(attempts, lambda: random) <= 1.1 * base + 1e-6


def test_three_days_from_the_first_attempt() -> None:
    """An attempt at the end of the third day is made; one after it is not."""
    end = NOW + 3 * DAY * SECOND

    assert not gives_up(NOW, end)
    assert gives_up(NOW, end + 1)


def test_a_delivery_is_tried_twelve_times_in_three_days() -> None:
    """Which is what the list amounts to, jitter apart."""
    at, attempts = NOW, 1
    while not gives_up(NOW, at + int(wait_seconds(attempts, middle) * SECOND)):
        at += int(wait_seconds(attempts, middle) * SECOND)
        attempts += 1

    assert attempts == 12
