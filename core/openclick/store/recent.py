"""The newest events with what led to them: the verdict of openclick.db, the row of messages.db.

Called by the status page; read-only.  An event whose verdict or row is gone (retention) is told
without them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openclick.events import EventType
from openclick.ids import hit_id_of
from openclick.instants import Instant
from openclick.store.statistics import open_with_mail

_MOST_IDS = 500


@dataclass(frozen=True)
class RecentEvent:
    """One event; visitor, rule, source and queue id are empty where nothing is known any more.

    `destination` is a click's; `source` names an image proxy's owner.
    """

    event_id: str
    type: EventType
    occurred_at: Instant
    email_id: bytes
    sending_domain: str
    destination: str
    visitor: str = ""
    rule: str = ""
    source: str = ""
    queue_id: str = ""


class RecentEvents:
    """The events; opened by `Store.recent_events`, closed by the caller."""

    def __init__(self, directory: Path) -> None:
        self._database = open_with_mail(directory)

    def close(self) -> None:
        """Close both files."""
        self._database.close()

    def many(self, limit: int, email_ids: Sequence[bytes] | None = None) -> list[RecentEvent]:
        """Return the newest events, newest first; only those of `email_ids` where given.

        Of many email ids the first 500 count.  Raises StoreFault.
        """
        only, values = "", tuple[bytes, ...]()
        if email_ids is not None:
            values = tuple(email_ids[:_MOST_IDS])
            only = f"WHERE email_id IN ({', '.join('?' * len(values))})"
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM events {only} ORDER BY seq DESC LIMIT ?",  # noqa: S608 - marks only
                (*values, limit),
            ).fetchall()
            known = _verdicts(connection, [hit_id_of(row["event_id"]) for row in rows])
        return [_event(row, known.get(row["event_id"])) for row in rows]


def _verdicts(connection: sqlite3.Connection, hit_ids: Sequence[bytes]) -> dict[str, sqlite3.Row]:
    rows = connection.execute(
        "SELECT v.event_id, v.visitor, v.rule, v.source, m.queue_id FROM main.verdicts AS v "  # noqa: S608
        "LEFT JOIN mail.messages AS m ON m.email_id = v.email_id AND m.copy = v.copy "
        f"WHERE v.hit_id IN ({', '.join('?' * len(hit_ids))})",
        tuple(hit_ids),
    )
    return {row["event_id"]: row for row in rows}


def _event(row: sqlite3.Row, verdict: sqlite3.Row | None) -> RecentEvent:
    tracking = json.loads(row["body"])["data"]["tracking"]
    return RecentEvent(
        event_id=row["event_id"],
        type=EventType(row["type"]),
        occurred_at=row["occurred_at"],
        email_id=row["email_id"],
        sending_domain=row["sending_domain"] or "",
        destination=tracking.get("url", ""),
        visitor=verdict["visitor"] if verdict else "",
        rule=verdict["rule"] if verdict else "",
        source=verdict["source"] if verdict else "",
        queue_id=(verdict["queue_id"] or "") if verdict else "",
    )
