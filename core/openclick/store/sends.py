"""Idempotency keys and email intents in openclick.db.

Called by the API, many notes at a time: one commit serves all requests that wait for one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from openclick.instants import Instant
from openclick.sends import KEPT, Acceptance, Claim, Claimed, FirstAnswer, SendNote
from openclick.store.database import Database


class SendBook:
    """What the API remembers of sends."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, notes: Sequence[SendNote]) -> list[Claimed | None]:
        """Write notes in their order in one transaction; each claim gets its answer, at its place.

        A claim older than a day is taken as never made.
        """
        with self._database.transaction() as connection:
            return [_write(connection, note) for note in notes]

    def sweep(self, before: Instant, limit: int) -> int:
        """Remove claims made before an instant, at most `limit`; return how many went."""
        with self._database.transaction() as connection:
            return connection.execute(
                "DELETE FROM idempotency_keys WHERE (key_id, idempotency_key) IN "
                "(SELECT key_id, idempotency_key FROM idempotency_keys WHERE claimed_at < ? "
                "ORDER BY claimed_at LIMIT ?)",
                (before, limit),
            ).rowcount


def _write(connection: sqlite3.Connection, note: SendNote) -> Claimed | None:
    if isinstance(note, Claim):
        return _claim(connection, note)
    if isinstance(note, Acceptance):
        connection.execute(
            "UPDATE email_intents SET accepted_at = ? "
            "WHERE key_id = ? AND idempotency_key = ? AND entry = ?",
            (note.accepted_at, *note.name, note.entry),
        )
    elif isinstance(note, FirstAnswer):
        connection.execute(
            "UPDATE idempotency_keys SET status_code = ?, body = ? "
            "WHERE key_id = ? AND idempotency_key = ?",
            (note.status_code, note.body, *note.name),
        )
    else:
        _forget(connection, note.name)
    return None


def _claim(connection: sqlite3.Connection, claim: Claim) -> Claimed:
    row = connection.execute(
        "SELECT * FROM idempotency_keys WHERE key_id = ? AND idempotency_key = ?", claim.name
    ).fetchone()
    if row is not None and row["claimed_at"] <= claim.claimed_at - KEPT:
        _forget(connection, claim.name)
        row = None
    if row is None:
        return _claimed_anew(connection, claim)
    return _claimed_before(connection, row, claim)


def _forget(connection: sqlite3.Connection, name: tuple[str, str]) -> None:
    connection.execute(
        "DELETE FROM idempotency_keys WHERE key_id = ? AND idempotency_key = ?", name
    )


def _claimed_anew(connection: sqlite3.Connection, claim: Claim) -> Claimed:
    connection.execute(
        "INSERT INTO idempotency_keys (key_id, idempotency_key, digest, claimed_at) "
        "VALUES (?, ?, ?, ?)",
        (*claim.name, claim.digest, claim.claimed_at),
    )
    connection.executemany(
        "INSERT INTO email_intents (key_id, idempotency_key, entry, email_id) VALUES (?, ?, ?, ?)",
        [(*claim.name, entry, email_id) for entry, email_id in enumerate(claim.email_ids)],
    )
    return Claimed(False, None, tuple(claim.email_ids), frozenset(), claim.claimed_at)


def _claimed_before(connection: sqlite3.Connection, row: sqlite3.Row, claim: Claim) -> Claimed:
    if row["digest"] != claim.digest:
        return Claimed(True, None, (), frozenset(), row["claimed_at"])
    answer = None
    if row["status_code"] is not None:
        answer = FirstAnswer(claim.name, row["status_code"], row["body"])
    intents = connection.execute(
        "SELECT entry, email_id, accepted_at FROM email_intents "
        "WHERE key_id = ? AND idempotency_key = ? ORDER BY entry",
        claim.name,
    ).fetchall()
    return Claimed(
        mismatch=False,
        answer=answer,
        email_ids=tuple(intent["email_id"] for intent in intents),
        accepted=frozenset(
            intent["entry"] for intent in intents if intent["accepted_at"] is not None
        ),
        claimed_at=row["claimed_at"],
    )
