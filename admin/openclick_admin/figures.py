"""The counts of `openclick stats`, as it draws and prints them.

Called by `stats`.  Pure; the counts themselves are `openclick.figures`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from openclick.figures import Engagement, Row

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(numbers: Iterable[int]) -> str:
    """Draw numbers as bars of eighths; the highest fills its line, and only a zero is a blank."""
    values = list(numbers)
    most = max(values, default=0)
    return "".join(_BARS[min(7, (value * 8 - 1) // most)] if value else " " for value in values)


def as_json(row: Row) -> dict[str, Any]:
    """Return a row for JSON, its key left out."""
    return {
        "messages": row.messages,
        "copies": row.copies,
        "tracked": row.tracked,
        "untouched": row.untouched,
        "opens": _engagement_as_json(row.opens),
        "clicks": _engagement_as_json(row.clicks),
    }


def _engagement_as_json(engagement: Engagement) -> dict[str, int]:
    return {
        "unique": engagement.unique,
        "people": engagement.people,
        "proxies": engagement.proxies,
        "dropped": engagement.dropped,
    }
