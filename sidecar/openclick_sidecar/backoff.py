"""When a delivery is tried again, and when it is given up.

Called by `dispatcher`.  Pure: randomness is handed in.  What counts towards the end is how long the
list has had a delivery wait, not the calendar: so neither an open circuit, nor a queue, nor a
sidecar that was down takes attempts away from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from openclick.instants import SECOND, Instant

MAX_RETRY_AFTER_SECONDS = 86_400.0
"""A receiver that asks for more is asked again after a day."""
_JITTER = 0.1


@dataclass(frozen=True)
class NextAttempt:
    """How long to wait for it, and how long the list has then had the delivery wait in all."""

    wait_seconds: float
    waited_seconds: float


@dataclass(frozen=True)
class RetryList:
    """The explicit list: the wait after each failed attempt, the last one repeated."""

    waits_seconds: tuple[float, ...]
    give_up_seconds: float

    def after(
        self,
        place: int,
        waited_seconds: float,
        retry_after_seconds: float | None,
        random: Callable[[], float],
    ) -> NextAttempt | None:
        """Return the attempt after failure number `place` (1 for the first), None for no more.

        Waits lie within 10 % of the list, so that receivers that went down together are not tried
        together; but never below what Retry-After asked for.  `random` returns a number from 0 to
        1.
        """
        listed = self.waits_seconds[min(place, len(self.waits_seconds)) - 1]
        asked = retry_after_seconds or 0.0
        total = waited_seconds + max(listed, asked)
        if total > self.give_up_seconds:
            return None
        wait = listed * (1 + _JITTER * (2 * random() - 1))
        return NextAttempt(max(wait, asked), total)


def retry_after_seconds(value: str | None, now: Instant) -> float | None:
    """Read a Retry-After field (RFC 9110, 10.2.3): seconds or a date; None for nothing usable."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), MAX_RETRY_AFTER_SECONDS)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    seconds = at.timestamp() - now / SECOND
    return min(math.ceil(seconds), MAX_RETRY_AFTER_SECONDS) if seconds > 0 else None
