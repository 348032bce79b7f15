"""Finds events in openclick.db by what the API filters by.

Called by the API, in a thread of its own.  Promises: the newest events first, page after page; each
filter has an index that ends in the instant, so that a page costs the same however many events
there are.  Where several filters are given, one of them leads by its index, the one that is likely
to leave the fewest; the others are looked at row by row.

Limits: a common filter that leads and a rare one that does not make a long search; it holds up
nobody but whoever asked for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from openclick.instants import Instant
from openclick.store.database import Database


@dataclass(frozen=True)
class EventQuery:
    """What is asked for: `start` inclusive, `end` exclusive; None leaves a filter out.

    `domains` and `tags` are any-of.  `after` is the place of the last event of the page before.
    """

    start: Instant
    end: Instant
    limit: int
    after: tuple[Instant, int] | None = None
    type: str | None = None
    email_id: bytes | None = None
    message_id: str | None = None
    recipient: str | None = None
    topic: str | None = None
    campaign: str | None = None
    tags: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()


class FoundEvent(NamedTuple):
    """One event: its place, the host of its From address where that is known, and its JSON."""

    occurred_at: Instant
    seq: int
    sending_domain: str | None
    body: bytes

    @property
    def place(self) -> tuple[Instant, int]:
        """Where the next page begins, if this one is the last of its page."""
        return self.occurred_at, self.seq


class Statement(NamedTuple):
    """One SELECT with its values."""

    sql: str
    values: tuple[Any, ...]


class EventSearch:
    """What the API reads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def many(self, query: EventQuery) -> list[FoundEvent]:
        """Return at most `query.limit` events, newest first."""
        found: dict[int, FoundEvent] = {}
        for statement in statements(query):
            with self._database.reading() as connection:
                rows = connection.execute(*statement).fetchall()
            found |= {row["seq"]: FoundEvent(*row) for row in rows}
        newest_first = sorted(found.values(), key=attrgetter("place"), reverse=True)
        return newest_first[: query.limit]


_LEADERS = (
    ("email_id", "events_by_email"),
    ("message_id", "events_by_message_id"),
    ("recipient", "events_by_recipient"),
    ("tag", ""),
    ("campaign", "events_by_campaign"),
    ("topic", "events_by_topic"),
    ("sending_domain", "events_by_domain"),
    ("type", "events_by_type"),
)
"""The columns that can lead, the one that leaves fewest first, with their indexes."""


def statements(query: EventQuery) -> Iterator[Statement]:
    """Yield what has to be asked: one SELECT for each value of the filter that leads."""
    wanted = _wanted(query)
    leader, index = next(
        ((column, index) for column, index in _LEADERS if column in wanted),
        ("", "events_by_occurrence"),
    )
    others = {column: values for column, values in wanted.items() if column != leader}
    for value in wanted.get(leader, (None,)):
        if leader == "tag":
            yield _by_tag(query, value, others)
        else:
            yield _by_column(query, leader, value, index, others)


def _wanted(query: EventQuery) -> dict[str, tuple[Any, ...]]:
    """Return the values that each filtered column may have."""
    single = {
        "email_id": query.email_id,
        "message_id": query.message_id,
        "recipient": query.recipient,
        "campaign": query.campaign,
        "topic": query.topic,
        "type": query.type,
    }
    wanted: dict[str, tuple[Any, ...]] = {
        column: (value,) for column, value in single.items() if value is not None
    }
    if query.tags:
        wanted["tag"] = query.tags
    if query.domains:
        wanted["sending_domain"] = query.domains
    return wanted


_HAS_TAG = (
    "EXISTS (SELECT 1 FROM event_tags AS tags WHERE tags.tag IN ({}) "
    "AND tags.occurred_at = events.occurred_at AND tags.seq = events.seq)"
)
_COLUMNS = "events.occurred_at, events.seq, events.sending_domain, events.body"


def _by_column(
    query: EventQuery, leader: str, value: Any, index: str, others: dict[str, tuple[Any, ...]]
) -> Statement:
    conditions, values = _window(query, "events")
    if leader:
        conditions, values = [f"events.{leader} = ?", *conditions], [value, *values]
    source = f"events INDEXED BY {index}"
    return _select(query, source, "events", conditions, values, others)


def _by_tag(query: EventQuery, tag: str, others: dict[str, tuple[Any, ...]]) -> Statement:
    conditions, values = _window(query, "event_tags")
    # CROSS JOIN keeps SQLite from turning the two around.
    source = "event_tags CROSS JOIN events ON events.seq = event_tags.seq"
    conditions = ["event_tags.tag = ?", *conditions]
    return _select(query, source, "event_tags", conditions, [tag, *values], others)


def _window(query: EventQuery, table: str) -> tuple[list[str], list[Any]]:
    """Return the conditions on the instant; they bound the index from both sides."""
    conditions = [f"{table}.occurred_at >= ?", f"{table}.occurred_at < ?"]
    values: list[Any] = [query.start, query.end]
    if query.after is not None:
        at, seq = query.after
        conditions[1] = f"{table}.occurred_at <= ?"
        values[1] = min(at, query.end - 1)
        conditions.append(f"({table}.occurred_at < ? OR {table}.seq < ?)")
        values += [at, seq]
    return conditions, values


def _select(
    query: EventQuery,
    source: str,
    ordered: str,
    conditions: list[str],
    values: list[Any],
    others: dict[str, tuple[Any, ...]],
) -> Statement:
    for column, allowed in others.items():
        marks = ", ".join("?" * len(allowed))
        conditions.append(_HAS_TAG.format(marks) if column == "tag" else f"{column} IN ({marks})")
        values += allowed
    return Statement(
        f"SELECT {_COLUMNS} FROM {source} "  # noqa: S608 - constants and marks only
        f"WHERE {' AND '.join(conditions)} "
        f"ORDER BY {ordered}.occurred_at DESC, {ordered}.seq DESC LIMIT ?",
        (*values, query.limit),
    )
