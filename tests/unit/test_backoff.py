"""When a delivery is tried again, and when it is given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick.instants import SECOND
from openclick.webhook_settings import WebhookSettings
from openclick_sidecar.backoff import (
    MAX_RETRY_AFTER_SECONDS,
    NextAttempt,
    RetryList,
    retry_after_seconds,
)
from unit.samples import NOW

MINUTE, HOUR, DAY = 60, 3600, 86_400
WAITS = [5, MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 12 * HOUR, 12 * HOUR]
LIST = RetryList(WebhookSettings().retry_waits_seconds, WebhookSettings().give_up_seconds)


def middle() -> float:
    """Be randomness without jitter."""
    return 0.5


def wait_after(place: int) -> float:
    """Return the wait after failure number `place`."""
    following = LIST.after(place, 0, None, middle)
    assert following is not None
    return following.wait_seconds


@pytest.mark.parametrize(("place", "wait"), list(enumerate(WAITS, start=1)))
def test_waits_after_each_attempt(place: int, wait: float) -> None:
    """The list of DESIGN 7, then every 12 hours."""
    assert wait == wait_after(place)


@given(st.integers(1, 50), st.floats(0, 1))
def test_jitter_is_ten_percent(place: int, random: float) -> None:
    """So that receivers that went down together are not tried together."""
    following = LIST.after(place, 0, None, lambda: random)
    base = wait_after(place)

    assert following is not None
    assert 0.9 * base <= following.wait_seconds <= 1.1 * base + 1e-6
    assert base == following.waited_seconds


@given(st.lists(st.floats(0, 1), min_size=20, max_size=20))
def test_a_delivery_is_tried_twelve_times_in_three_days(randoms: list[float]) -> None:
    """Whatever the jitter: what counts is the list, not the calendar."""
    attempts, waited = 1, 0.0
    while (following := LIST.after(attempts, waited, None, iter(randoms).__next__)) is not None:
        attempts, waited = attempts + 1, following.waited_seconds

    assert 12 == attempts
    assert waited <= 3 * DAY < waited + 12 * HOUR


def test_retry_after_lengthens_a_wait() -> None:
    """Never below what was asked for, and it counts towards the three days."""
    assert NextAttempt(120, 130) == LIST.after(1, 10, 120, lambda: 0.0)
    assert NextAttempt(7200, 7200) == LIST.after(5, 0, 60, middle)


def test_retry_after_cannot_keep_a_delivery_for_ever() -> None:
    """A receiver that asks for a day each time is asked four times."""
    attempts, waited = 1, 0.0
    while (following := LIST.after(attempts, waited, float(DAY), middle)) is not None:
        attempts, waited = attempts + 1, following.waited_seconds

    assert 4 == attempts


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("99999999999999999999", MAX_RETRY_AFTER_SECONDS),
        ("Sun, 23 Nov 2025 22:41:00 GMT", 60),
        ("Sun Nov 23 22:41:00 2025", 60),
        ("Sun, 23 Nov 2035 22:41:00 GMT", MAX_RETRY_AFTER_SECONDS),
        ("Sun, 23 Nov 2025 22:39:00 GMT", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("١٢", None),
        ("Sun, 99 Nov 2025 22:41:00 GMT", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    """Seconds or a date (RFC 9110, 10.2.3), a day at most; anything else counts as absent."""
    assert seconds == retry_after_seconds(value, NOW // SECOND * SECOND)
