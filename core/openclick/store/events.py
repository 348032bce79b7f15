"""Verdicts, events and the judge's cursor in openclick.db: what the judge writes and asks for."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from openclick.events import Event, EventType
from openclick.hits import Click, Hit
from openclick.instants import Instant
from openclick.messages import Labels
from openclick.store.database import Database
from openclick.tokens import Kind
from openclick.verdicts import JudgedHit, Verdict, Visitor, visit_of

_JUDGE = "judge"


@dataclass(frozen=True)
class Judgement:
    """One judged hit: the verdict, and the event that it became (None for a dropped one)."""

    hit: Hit
    verdict: Verdict
    event: Event | None


@dataclass(frozen=True)
class JudgeCursor:
    """How far the judge has read which hits.db, and which hit stands there.

    `hit_id` is empty at first, and where a cursor was written before it was kept; such a cursor
    names no hit, and reading starts over.
    """

    file_id: str
    position: int
    hit_id: bytes = b""


FIRST_CURSOR = JudgeCursor("", 0)


@dataclass(frozen=True)
class LoggedEvent:
    """An event and its place in the log."""

    seq: int
    event: Event


class EventLog:
    """What the judge writes, and the command lists."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def judge_cursor(self) -> JudgeCursor:
        """Return how far the judge has come; position 0 of no file at first."""
        return read_judge_cursor(self._database)

    def judged(self, hit_ids: Sequence[bytes]) -> set[bytes]:
        """Return which of these hits have a verdict already."""
        marks = ", ".join("?" * len(hit_ids))
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT hit_id FROM verdicts WHERE hit_id IN ({marks})",  # noqa: S608 - marks only
                tuple(hit_ids),
            ).fetchall()
        return {row["hit_id"] for row in rows}

    def record_judgements(
        self, judgements: Sequence[Judgement], cursor: JudgeCursor, judged_at: Instant
    ) -> list[Judgement]:
        """Write verdicts, events and the cursor in one transaction; return the new judgements.

        A hit that has a verdict already (its commit's outcome was unknown, or a back-up came back)
        is passed over, so that nothing counts twice.
        """
        made = []
        with self._database.transaction() as connection:
            for judgement in judgements:
                if _insert_verdict(connection, judgement, judged_at):
                    made.append(judgement)
                    if judgement.event:
                        _insert_event(connection, judgement.event)
            connection.execute(
                "INSERT OR REPLACE INTO cursors (name, file_id, position, hit_id) "
                "VALUES (?, ?, ?, ?)",
                (_JUDGE, cursor.file_id, cursor.position, cursor.hit_id),
            )
        return made

    def count_visits(self, hit: Hit, since: Instant, limit: int) -> int:
        """Return how many judged hits from `since` on, up to `hit`, were the same visitor's.

        The same token, address and user agent; counting ends at `limit`.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT count(*) AS visits FROM (SELECT 1 FROM verdicts WHERE email_id = ? "
                "AND visit = ? AND received_at BETWEEN ? AND ? LIMIT ?)",
                (hit.email_id, visit_of(hit), since, hit.received_at, limit),
            ).fetchone()
        return int(row["visits"])

    def clicks_near(
        self, email_id: bytes, since: Instant, until: Instant, limit: int
    ) -> list[Click]:
        """Return the judged clicks on one message in a span, at most `limit`, each at place 0."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT 0, received_at, email_id, copy, link_index, ip FROM verdicts "
                "WHERE email_id = ? AND received_at BETWEEN ? AND ? AND kind = ? LIMIT ?",
                (email_id, since, until, Kind.CLICK.value, limit),
            ).fetchall()
        return [Click(*row) for row in rows]

    def maybe_judged(self, hit_id: bytes) -> JudgedHit | None:
        """Return what was judged of one hit, None where it has no verdict."""
        found = self._many_judged("hit_id = ?", hit_id)
        return found[0] if found else None

    def many_judged(self, email_id: bytes) -> list[JudgedHit]:
        """Return what was judged of every hit of a message, oldest first."""
        return self._many_judged("email_id = ? ORDER BY received_at, hit_id", email_id)

    def _many_judged(self, where: str, value: bytes) -> list[JudgedHit]:
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM verdicts WHERE {where}",  # noqa: S608 - constants only
                (value,),
            ).fetchall()
        return [_judged(row) for row in rows]

    def many_after(self, seq: int, limit: int) -> list[LoggedEvent]:
        """Return at most `limit` events after place `seq`, oldest first."""
        return self._many("WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit))

    def many_newest(self, limit: int) -> list[LoggedEvent]:
        """Return the newest `limit` events, newest first."""
        return self._many("ORDER BY seq DESC LIMIT ?", (limit,))

    def _many(self, rest: str, values: tuple[int, ...]) -> list[LoggedEvent]:
        with self._database.reading() as connection:
            rows = connection.execute(f"SELECT * FROM events {rest}", values).fetchall()  # noqa: S608
        return [LoggedEvent(row["seq"], _from_row(row)) for row in rows]


def read_judge_cursor(database: Database) -> JudgeCursor:
    """Return how far the judge has come, for whoever may read openclick.db."""
    with database.reading() as connection:
        row = connection.execute(
            "SELECT file_id, position, hit_id FROM cursors WHERE name = ?", (_JUDGE,)
        ).fetchone()
    return JudgeCursor(row["file_id"], row["position"], row["hit_id"]) if row else FIRST_CURSOR


def _insert_verdict(
    connection: sqlite3.Connection, judgement: Judgement, judged_at: Instant
) -> bool:
    hit, verdict = judgement.hit, judgement.verdict
    cursor = connection.execute(
        "INSERT INTO verdicts (hit_id, judged_at, received_at, kind, email_id, copy, "
        "link_index, ip, visitor, rule, evidence, source, event_id, visit, user_agent) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hit_id) DO NOTHING",
        (
            hit.hit_id,
            judged_at,
            hit.received_at,
            hit.kind.value,
            hit.email_id,
            hit.copy,
            hit.link_index,
            hit.ip,
            verdict.visitor.value,
            verdict.rule,
            # It may quote a header field of a row that is damaged.
            verdict.evidence.encode("utf-8", "backslashreplace").decode(),
            verdict.source,
            judgement.event.event_id if judgement.event else None,
            visit_of(hit),
            hit.user_agent,
        ),
    )
    return cursor.rowcount == 1


def _insert_event(connection: sqlite3.Connection, event: Event) -> None:
    labels = event.labels
    cursor = connection.execute(
        "INSERT INTO events (event_id, type, occurred_at, email_id, sending_domain, body, "
        "message_id, recipient, topic, campaign) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (event_id) DO NOTHING",
        (
            event.event_id,
            event.type.value,
            event.occurred_at,
            event.email_id,
            event.sending_domain,
            event.body,
            event.message_id,
            event.recipient,
            labels.topic,
            labels.campaign,
        ),
    )
    if labels.tags and cursor.rowcount == 1:
        connection.executemany(
            "INSERT OR IGNORE INTO event_tags (tag, occurred_at, seq) VALUES (?, ?, ?)",
            [(tag, event.occurred_at, cursor.lastrowid) for tag in labels.tags],
        )


def _judged(row: sqlite3.Row) -> JudgedHit:
    verdict = Verdict(Visitor(row["visitor"]), row["rule"], row["evidence"], row["source"])
    return JudgedHit(
        hit_id=row["hit_id"],
        received_at=row["received_at"],
        judged_at=row["judged_at"],
        kind=Kind(row["kind"]),
        email_id=row["email_id"],
        copy=row["copy"],
        link_index=row["link_index"],
        ip=row["ip"],
        user_agent=row["user_agent"],
        verdict=verdict,
        event_id=row["event_id"],
    )


def _from_row(row: sqlite3.Row) -> Event:
    return Event(
        event_id=row["event_id"],
        type=EventType(row["type"]),
        occurred_at=row["occurred_at"],
        email_id=row["email_id"],
        sending_domain=row["sending_domain"],
        body=row["body"],
        message_id=row["message_id"],
        recipient=row["recipient"],
        labels=Labels(
            tuple(json.loads(row["body"])["data"]["tags"]), row["topic"], row["campaign"]
        ),
    )
