"""Instants: whole microseconds since 1970-01-01 UTC, everywhere from SQL to code.

Names that hold one end in `_at`.  JSON and people see ISO 8601 with milliseconds and a Z.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

Instant = int
"""Microseconds since the epoch, UTC."""

SECOND = 1_000_000


def now() -> Instant:
    """Return the present instant of the machine's wall clock."""
    return time.time_ns() // 1000


def iso(at: Instant) -> str:
    """Write `at` as ISO 8601 in UTC with milliseconds, such as 2026-11-23T22:20:00.123Z."""
    moment = datetime.fromtimestamp(at // SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % SECOND // 1000:03d}Z"
