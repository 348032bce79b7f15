"""Finds unjudged clicks by their instants in hits.db, which has no index but its places.

Called by `hits`.  What the recorder writes stands in the order of time, but for what it takes back
from a journal: each step of that is a run, noted in the transaction that writes it.  So clicks of
a span lie side by side, with runs in between that are stepped over, and in runs that meet the span.

Promises: no more rows are looked at than asked; a damaged row does no harm.  Limits: where the
clock was set back, or hits come in an order that differs from their instants by more than the
caller's margin, the first hit outside the span ends the search.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from openclick.hits import Click, Hit
from openclick.instants import Instant
from openclick.tokens import Kind

Span = tuple[Instant, Instant]
"""Both ends belong to it."""

_RUNS = 10_000
"""So many runs are looked through, which hold 2.5 million hits."""
# As bytes, since a text that is no UTF-8 would end the search.
_CLICK = (
    "position, received_at, CAST(email_id AS BLOB), CAST(copy AS BLOB), "
    "CAST(link_index AS INTEGER), CAST(ip AS BLOB)"
)


class Run(NamedTuple):
    """Places that stand out of the order of time, and the instants of what is there."""

    first: int
    last: int
    since: Instant
    until: Instant


def note_run(connection: sqlite3.Connection, hits: Sequence[Hit], last: int) -> None:
    """Note hits that were just written out of their order, the last of them at `last`."""
    instants = [hit.received_at for hit in hits]
    connection.execute(
        "INSERT OR REPLACE INTO displaced VALUES (?, ?, ?, ?)",
        (last - len(hits) + 1, last, min(instants), max(instants)),
    )


def forget_runs(connection: sqlite3.Connection) -> None:
    """Forget the runs whose hits are removed."""
    connection.execute(
        "DELETE FROM displaced WHERE last_position < (SELECT min(position) FROM hits)"
    )


def clicks_after(
    connection: sqlite3.Connection, position: int, span: Span, limit: int
) -> list[Click]:
    """Return the clicks after a place, as far on as hits in order lie in the span.

    The first hit in order that is outside of it ends the search, as does the `limit`th place.
    """
    clicks: list[Click] = []
    for low, high in _in_order(_runs_after(connection, position), position, limit):
        rows = connection.execute(
            f"SELECT kind = ?, {_CLICK} FROM hits "  # noqa: S608 - constants only
            "WHERE position > ? AND position <= ? ORDER BY position",
            (Kind.CLICK.value, low, high),
        )
        for is_click, place, received_at, *rest in rows:
            if not isinstance(received_at, int):
                continue
            if not span[0] <= received_at <= span[1]:
                rows.close()  # an unfinished read would keep the file from being checkpointed
                return clicks
            if is_click:
                clicks.append(_click(place, received_at, *rest))
    return clicks


def displaced_clicks(
    connection: sqlite3.Connection, position: int, spans: Sequence[Span], limit: int
) -> list[Click]:
    """Return the clicks after a place in those runs that meet one of `spans`, at most `limit`.

    The spans are in order and apart from each other.
    """
    clicks: list[Click] = []
    whole = (spans[0][0], spans[-1][1])
    for run in _runs_after(connection, position, whole):
        if len(clicks) >= limit:
            break
        if _meets(run, spans):
            rows = connection.execute(
                f"SELECT {_CLICK} FROM hits WHERE position > ? "  # noqa: S608 - constants only
                "AND position <= ? AND kind = ? AND received_at BETWEEN ? AND ? LIMIT ?",
                (
                    *(max(position, run.first - 1), run.last, Kind.CLICK.value),
                    *whole,
                    limit - len(clicks),
                ),
            ).fetchall()
            clicks += [_click(*row) for row in rows]
    return clicks


def _runs_after(
    connection: sqlite3.Connection, position: int, span: Span | None = None
) -> list[Run]:
    """Return the runs with a place after `position`, and an instant in `span`."""
    condition, values = "last_position > ?", [position]
    if span is not None:
        condition, values = f"{condition} AND until >= ? AND since <= ?", [position, *span]
    rows = connection.execute(
        "SELECT first_position, last_position, since, until FROM displaced "  # noqa: S608
        f"WHERE {condition} ORDER BY first_position LIMIT {_RUNS}",
        values,
    ).fetchall()
    return [Run(*row) for row in rows]


def _in_order(runs: Sequence[Run], position: int, limit: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches (low excluded, high) between runs, at most `limit` places in all."""
    low = position
    for run in runs:
        high = min(run.first - 1, low + limit)
        if high > low:
            yield low, high
            limit -= high - low
        if not limit:
            return
        low = max(low, run.last)
    yield low, low + limit


def _meets(run: Run, spans: Sequence[Span]) -> bool:
    """Tell whether a run has an instant in one of the spans."""
    place = bisect_left(spans, run.since, key=lambda span: span[1])
    return place < len(spans) and spans[place][0] <= run.until


def _click(
    place: int, received_at: Instant, email_id: bytes, copy: bytes, link_index: int, ip: bytes
) -> Click:
    return Click(place, received_at, email_id, copy, link_index, ip.decode(errors="replace"))
