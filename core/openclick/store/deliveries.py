"""Deliveries and attempts in openclick.db."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

from openclick.instants import Instant
from openclick.store.database import Database
from openclick.webhooks import MAX_BATCH_EVENTS, Attempt, Delivery, DeliveryState, WebhookStatus

_SCAN_EVENTS = 1000


class DeliveryBook:
    """What the dispatcher writes and the command lists."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def form(self, now: Instant, new_batch_id: Callable[[], str]) -> int:
        """Put events that no delivery holds yet into deliveries; return how many were formed.

        Every active webhook's cursor moves in the same transaction, so that an event is in exactly
        one delivery of each webhook.
        """
        formed = 0
        with self._database.transaction() as connection:
            for row in connection.execute(
                "SELECT webhook_id, events, domains, cursor FROM webhooks WHERE status = ?",
                (WebhookStatus.ACTIVE.value,),
            ).fetchall():
                formed += _form_for(connection, row, now, new_batch_id)
        return formed

    def many_due(self, now: Instant) -> list[Delivery]:
        """Return, for each webhook, its pending delivery that is longest due.

        One a webhook, because one POST a webhook is under way at a time: so a webhook with many
        deliveries due hides nobody else's.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT deliveries.* FROM webhooks JOIN deliveries ON delivery_id = ("
                "  SELECT delivery_id FROM deliveries AS due"
                "  WHERE due.webhook_id = webhooks.webhook_id AND state = ?"
                "    AND next_attempt_at <= ?"
                "  ORDER BY next_attempt_at, delivery_id LIMIT 1)",
                (DeliveryState.PENDING.value, now),
            ).fetchall()
        return [_from_row(row) for row in rows]

    def event_bodies(self, delivery_id: int) -> list[bytes]:
        """Return the finished JSON of each event of a delivery, in order."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT body FROM delivery_events JOIN events USING (seq) "
                "WHERE delivery_id = ? ORDER BY seq",
                (delivery_id,),
            ).fetchall()
        return [row["body"] for row in rows]

    def begin_attempt(
        self, delivery_id: int, number: int, started_at: Instant, next_attempt_at: Instant
    ) -> bool:
        """Write an attempt and the time of the next one *before* the POST is made.

        Returns False, changing nothing, where attempt `number` is no longer the next one: another
        round has made it, or the delivery has ended.
        """
        with self._database.transaction() as connection:
            moved = connection.execute(
                "UPDATE deliveries SET attempts = ?, next_attempt_at = ? "
                "WHERE delivery_id = ? AND attempts = ? AND state = ?",
                (number, next_attempt_at, delivery_id, number - 1, DeliveryState.PENDING.value),
            ).rowcount
            if moved:
                connection.execute(
                    "INSERT INTO attempts (delivery_id, number, started_at) VALUES (?, ?, ?)",
                    (delivery_id, number, started_at),
                )
        return bool(moved)

    def finish_attempt(
        self, delivery_id: int, number: int, attempt: Attempt, state: DeliveryState
    ) -> None:
        """Write how an attempt ended, and what the delivery now is."""
        finished = None if state is DeliveryState.PENDING else attempt.finished_at
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE attempts SET finished_at = ?, status_code = ?, error = ?, excerpt = ? "
                "WHERE delivery_id = ? AND number = ?",
                (
                    attempt.finished_at,
                    attempt.status_code,
                    attempt.error,
                    attempt.excerpt,
                    delivery_id,
                    number,
                ),
            )
            connection.execute(
                "UPDATE deliveries SET state = ?, finished_at = ? WHERE delivery_id = ?",
                (state.value, finished, delivery_id),
            )

    def count_by_state(self) -> dict[DeliveryState, int]:
        """Return how many deliveries are in each state."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT state, count(*) AS number FROM deliveries GROUP BY state"
            ).fetchall()
        found = {DeliveryState(row["state"]): int(row["number"]) for row in rows}
        return {state: found.get(state, 0) for state in DeliveryState}


def _form_for(
    connection: sqlite3.Connection,
    webhook: sqlite3.Row,
    now: Instant,
    new_batch_id: Callable[[], str],
) -> int:
    """Form the deliveries of one webhook, and move its cursor to the end of the log."""
    names, domains = set(json.loads(webhook["events"])), set(json.loads(webhook["domains"]))
    cursor, formed, batch = webhook["cursor"], 0, list[int]()
    while rows := connection.execute(
        "SELECT seq, type, sending_domain FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
        (cursor, _SCAN_EVENTS),
    ).fetchall():
        for row in rows:
            if row["type"] in names and (not domains or row["sending_domain"] in domains):
                batch.append(row["seq"])
            if len(batch) == MAX_BATCH_EVENTS:
                _insert(connection, webhook["webhook_id"], batch, now, new_batch_id())
                formed, batch = formed + 1, []
        cursor = rows[-1]["seq"]
    if batch:
        _insert(connection, webhook["webhook_id"], batch, now, new_batch_id())
        formed += 1
    if cursor != webhook["cursor"]:
        connection.execute(
            "UPDATE webhooks SET cursor = ? WHERE webhook_id = ?", (cursor, webhook["webhook_id"])
        )
    return formed


def _insert(
    connection: sqlite3.Connection, webhook_id: str, batch: list[int], now: Instant, batch_id: str
) -> None:
    delivery_id = connection.execute(
        "INSERT INTO deliveries (webhook_id, batch_id, state, attempts, next_attempt_at, "
        "created_at) VALUES (?, ?, ?, 0, ?, ?)",
        (webhook_id, batch_id, DeliveryState.PENDING.value, now, now),
    ).lastrowid
    connection.executemany(
        "INSERT INTO delivery_events (delivery_id, seq) VALUES (?, ?)",
        [(delivery_id, seq) for seq in batch],
    )


def _from_row(row: sqlite3.Row) -> Delivery:
    return Delivery(
        delivery_id=row["delivery_id"],
        webhook_id=row["webhook_id"],
        batch_id=row["batch_id"],
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        next_attempt_at=row["next_attempt_at"],
        created_at=row["created_at"],
    )
