"""Instants: whole microseconds since 1970-01-01 UTC, everywhere from SQL to code.

Names that hold one end in `_at`.  JSON and people see ISO 8601 with milliseconds and a Z.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

Instant = int
"""Microseconds since the epoch, UTC."""

SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def now() -> Instant:
    """Return the present instant of the machine's wall clock."""
    return time.time_ns() // 1000


def iso(at: Instant) -> str:
    """Write `at` as ISO 8601 in UTC with milliseconds, such as 2026-11-23T22:20:00.123Z."""
    moment = datetime.fromtimestamp(at // SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % SECOND // 1000:03d}Z"


def maybe_iso(at: Instant | None) -> str | None:
    """Write `at` likewise; None where there was no such moment."""
    return None if at is None else iso(at)


def parse_iso(text: str) -> Instant:
    """Read an instant: ISO 8601, in UTC where no offset is named.  Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no instant: need a date and a time, such as 2026-11-27T08:00:00Z"
        ) from error
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND
