"""What the status page tells, read from the store at one moment.

Called by `resource` in a thread of its own, since counting may take seconds.  Promise: a part that
cannot be read is a fault with its sentence, and the others are there all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import TypeVar

from openclick.domains import SendingDomain
from openclick.figures import Row, gathered, window_of_days
from openclick.ids import parse_email_id
from openclick.instants import Instant
from openclick.store import (
    FileSize,
    Heartbeat,
    RecentEvent,
    Statistics,
    Store,
    StoreFault,
    WebhookFigures,
)
from openclick.store.statistics import (
    DAY,
    HOUR,
    Grouping,
    HitCount,
    MessageCount,
    ReasonCount,
    UniqueCount,
    Window,
)
from openclick.tracking_certificates import TrackingCertificate
from openclick_sidecar.store_state import read_state

DAYS = 30
HOURS = 24
EVENTS = 50
T = TypeVar("T")


@dataclass(frozen=True)
class DomainActivity:
    """What one sending domain did in the window; `daily` are its opens and clicks that counted."""

    row: Row
    reasons: tuple[ReasonCount, ...]
    daily: tuple[int, ...]


@dataclass(frozen=True)
class Activity:
    """The counts of the last 30 days of UTC, today included, and of the last 24 hours.

    `domains` by name, each with its copies; `days` and `hours` without unique counts, which do not
    add up.
    """

    total: Row
    domains: dict[str, DomainActivity]
    days: tuple[Row, ...]
    hours: tuple[Row, ...]


@dataclass(frozen=True)
class Overview:
    """All parts; None is a part that could not be read, and `faults` say why."""

    at: Instant
    domains: tuple[SendingDomain, ...] | None = None
    certificates: dict[str, TrackingCertificate] = field(default_factory=dict)
    webhooks: tuple[WebhookFigures, ...] | None = None
    activity: Activity | None = None
    events: tuple[RecentEvent, ...] | None = None
    heartbeat: Heartbeat | None = None
    files: tuple[FileSize, ...] = ()
    free_bytes: int | None = None
    reserve_bytes: int = 0
    faults: tuple[str, ...] = ()


def look(store: Store, reserve_bytes: int, at: Instant) -> Overview:
    """Read everything; this may take seconds.

    `reserve_bytes` are to stay free on the store's file system.
    """
    state = read_state(store)
    faults = list(state.faults)

    def part(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except StoreFault as fault:
            if str(fault) not in faults:
                faults.append(str(fault))
            return None

    webhooks = part(lambda: _webhooks(store))
    has_mail = store.has_messages()
    activity = part(lambda: _activity(store, at)) if has_mail else None
    events = part(lambda: recent(store)) if has_mail else ()
    return Overview(
        at=at,
        domains=None if webhooks is None else state.domains,
        certificates={each.name: each for each in state.certificates},
        webhooks=webhooks,
        activity=activity,
        events=events,
        heartbeat=state.heartbeat,
        files=state.files,
        free_bytes=state.free_bytes,
        reserve_bytes=reserve_bytes,
        faults=tuple(faults),
    )


def recent(store: Store, email_ids: list[bytes] | None = None) -> tuple[RecentEvent, ...]:
    """Return the newest events, only those of `email_ids` where given.  Raises StoreFault."""
    with closing(store.recent_events()) as reader:
        return tuple(reader.many(EVENTS, email_ids))


def named(store: Store, name: str) -> list[bytes]:
    """Return the email ids that a queue id, email id or Message-ID names.  Raises StoreFault."""
    try:
        return [parse_email_id(name)]
    except ValueError:
        pass
    with closing(store.message_reader()) as reader:
        rows = reader.many_by_queue_id(name) or reader.many_by_message_id(name)
    return sorted({row.email_id for row in rows})


def _webhooks(store: Store) -> tuple[WebhookFigures, ...]:
    with closing(store.registry_reader()) as reader:
        return tuple(reader.webhook_figures.many())


def _activity(store: Store, at: Instant) -> Activity:
    window = window_of_days(at, DAYS)
    until = (at // HOUR + 1) * HOUR
    with closing(store.statistics()) as statistics:
        return activity(
            window,
            Counts.of(statistics, window),
            _plain_rows(statistics, Window(until - HOURS * HOUR, until), Grouping.HOUR),
        )


@dataclass(frozen=True)
class Counts:
    """What the store counted for one window: few passes over it, because each reads every row."""

    messages: list[MessageCount]
    unique: list[UniqueCount]
    reasons: list[ReasonCount]
    daily_messages: list[MessageCount]
    daily_hits: list[HitCount]

    @classmethod
    def of(cls, statistics: Statistics, window: Window) -> Counts:
        """Count.  Raises StoreFault."""
        return cls(
            messages=statistics.messages(window, Grouping.DOMAIN),
            unique=statistics.unique(window, Grouping.DOMAIN),
            reasons=statistics.reasons(window, Grouping.DOMAIN),
            daily_messages=statistics.messages(window, Grouping.DOMAIN_DAY),
            daily_hits=statistics.hits(window, Grouping.DOMAIN_DAY),
        )


def activity(window: Window, counts: Counts, hours: list[Row]) -> Activity:
    """Return the counts by domain, by day and in all."""
    days = [str(day) for day in range(window.since // DAY, window.until // DAY)]
    by_domain = _hits_by(counts.daily_hits, 0)
    rows = gathered(counts.messages, by_domain, counts.unique)
    return Activity(
        total=_sum(rows),
        domains={
            row.key: DomainActivity(
                row,
                tuple(each for each in counts.reasons if each.key == row.key),
                _daily(counts.daily_hits, row.key, days),
            )
            for row in rows
        },
        days=tuple(
            gathered(
                _messages_by_day(counts.daily_messages), _hits_by(counts.daily_hits, 1), (), days
            )
        ),
        hours=tuple(hours),
    )


def _plain_rows(statistics: Statistics, window: Window, grouping: Grouping) -> list[Row]:
    keys = [str(hour) for hour in range(window.since // HOUR, window.until // HOUR)]
    return gathered(
        statistics.messages(window, grouping), statistics.hits(window, grouping), (), keys
    )


def _hits_by(counts: list[HitCount], part: int) -> list[HitCount]:
    """Return counts by the domain (part 0) or the day (part 1) of their keys."""
    return [
        HitCount(each.key.rpartition(" ")[2 * part], each.kind, each.visitor, each.hits)
        for each in counts
    ]


def _messages_by_day(counts: list[MessageCount]) -> list[MessageCount]:
    found: dict[str, MessageCount] = {}
    for each in counts:
        day = each.key.rpartition(" ")[2]
        known = found.get(day, MessageCount(day, 0, 0, 0))
        found[day] = MessageCount(
            day,
            known.messages + each.messages,
            known.copies + each.copies,
            known.tracked + each.tracked,
        )
    return list(found.values())


def _daily(counts: list[HitCount], domain: str, days: list[str]) -> tuple[int, ...]:
    found = gathered((), _of(counts, domain), (), days)
    return tuple(row.opens.counted + row.clicks.counted for row in found)


def _of(counts: list[HitCount], domain: str) -> list[HitCount]:
    return [
        HitCount(day, each.kind, each.visitor, each.hits)
        for each in counts
        for name, _, day in [each.key.rpartition(" ")]
        if name == domain
    ]


def _sum(rows: list[Row]) -> Row:
    """Return the sum of rows; a copy has one domain, so unique counts add up too."""
    total = Row("")
    for row in rows:
        total.messages += row.messages
        total.copies += row.copies
        total.tracked += row.tracked
        for whole, part in ((total.opens, row.opens), (total.clicks, row.clicks)):
            whole.people += part.people
            whole.proxies += part.proxies
            whole.dropped += part.dropped
            whole.unique += part.unique
    return total
