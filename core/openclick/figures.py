"""What was submitted and what readers did, put together from what the store counted; pure.

Called by `openclick stats` and the status page, so that both tell the same.  A row tells of one key
(an hour, a day, a domain, a campaign, a message); hours and days without anything get a row of
zeros, so that a chart has its true shape.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from openclick.instants import Instant
from openclick.store import Statistics
from openclick.store.statistics import (
    DAY,
    HOUR,
    Grouping,
    HitCount,
    MessageCount,
    UniqueCount,
    Window,
)
from openclick.tokens import Kind
from openclick.verdicts import Visitor


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
        _keys(window, grouping),
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


def window_of_days(
    at: Instant, days: int, domain: str | None = None, campaign: str | None = None
) -> Window:
    """Return the window of the last `days` days of UTC, the day of `at` included."""
    until = (at // DAY + 1) * DAY
    return Window(until - days * DAY, until, domain, campaign)


def _keys(window: Window, grouping: Grouping) -> Iterable[str]:
    span = {Grouping.DAY: DAY, Grouping.HOUR: HOUR}.get(grouping)
    if span is None:
        return ()
    return (str(number) for number in range(window.since // span, -(-window.until // span)))
