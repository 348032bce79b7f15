"""The counts of `openclick stats`, put together from what the store counted; pure.

Called by `stats`.  A row tells of one key (a day, a domain, a campaign, a message) what was
submitted and what readers did; days without anything get a row of zeros, so that a sparkline has
its true shape.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from openclick.store import Statistics
from openclick.store.statistics import DAY, Grouping, HitCount, MessageCount, UniqueCount, Window
from openclick.tokens import Kind
from openclick.verdicts import Visitor

_BARS = "▁▂▃▄▅▆▇█"


@dataclass
class Engagement:
    """What readers did: counted hits by visitor, dropped ones, and copies with at least one."""

    people: int = 0
    proxies: int = 0
    dropped: int = 0
    unique: int = 0

    @property
    def counted(self) -> int:
        """The hits that became events."""
        return self.people + self.proxies


@dataclass
class Row:
    """The counts of one key; `copies` are passes through the milter, `tracked` of them were."""

    key: str
    messages: int = 0
    copies: int = 0
    tracked: int = 0
    opens: Engagement = field(default_factory=Engagement)
    clicks: Engagement = field(default_factory=Engagement)

    @property
    def untouched(self) -> int:
        """The copies that went out as they came."""
        return self.copies - self.tracked

    def of(self, kind: Kind) -> Engagement:
        """Return the opens or the clicks."""
        return self.opens if kind is Kind.OPEN else self.clicks


def rows(statistics: Statistics, window: Window, grouping: Grouping) -> list[Row]:
    """Return one row a key, in the order of the keys.  Raises StoreFault."""
    return gathered(
        statistics.messages(window, grouping),
        statistics.hits(window, grouping),
        statistics.unique(window, grouping),
        _days(window) if grouping is Grouping.DAY else (),
    )


def gathered(
    messages: Iterable[MessageCount],
    hits: Iterable[HitCount],
    unique: Iterable[UniqueCount],
    keys: Iterable[str] = (),
) -> list[Row]:
    """Bring counts together by key; each of `keys` has a row even where nothing happened."""
    found = {key: Row(key) for key in keys}
    for count in messages:
        row = found.setdefault(count.key, Row(count.key))
        row.messages, row.copies, row.tracked = count.messages, count.copies, count.tracked
    for hit in hits:
        _add(found.setdefault(hit.key, Row(hit.key)).of(hit.kind), hit)
    for once in unique:
        found.setdefault(once.key, Row(once.key)).of(once.kind).unique = once.copies
    return [found[key] for key in sorted(found)]


def _add(engagement: Engagement, hit: HitCount) -> None:
    if hit.visitor is Visitor.PERSON:
        engagement.people += hit.hits
    elif hit.visitor is Visitor.PROXY:
        engagement.proxies += hit.hits
    else:
        engagement.dropped += hit.hits


def _days(window: Window) -> Iterable[str]:
    return (str(day) for day in range(window.since // DAY, -(-window.until // DAY)))


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
