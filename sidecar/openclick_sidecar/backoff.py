"""When a delivery is tried again, and when it is given up.

Called by `dispatcher`.  Pure: randomness is handed in.
"""

from __future__ import annotations

from collections.abc import Callable

from openclick.instants import SECOND, Instant

RETRY_WAITS_SECONDS = (5, 60, 300, 1800, 7200, 18_000, 36_000)
"""Waits after the first, second, ... attempt; the last entry is followed by LAST_WAIT_SECONDS."""
LAST_WAIT_SECONDS = 43_200
GIVE_UP_SECONDS = 3 * 86_400
_JITTER = 0.1


def wait_seconds(attempts_made: int, random: Callable[[], float]) -> float:
    """Return how long to wait after attempt number `attempts_made`, within 10 % of the list.

    `random` returns a number from 0 to 1.
    """
    place = attempts_made - 1
    waits = RETRY_WAITS_SECONDS
    base = waits[place] if place < len(waits) else LAST_WAIT_SECONDS
    return base * (1 + _JITTER * (2 * random() - 1))


def gives_up(created_at: Instant, next_attempt_at: Instant) -> bool:
    """Tell whether the next attempt would come after the delivery's three days."""
    return next_attempt_at - created_at > GIVE_UP_SECONDS * SECOND
