"""Forms deliveries: reads the event log for each webhook, from its cursor on.

Called by `deliveries` and `webhooks`, inside their transactions.  Promises: an event is in one
delivery of each webhook that it is for, because the cursor moves in the same transaction; what is
formed ahead of the attempts is bounded, so that events of a webhook that cannot take them wait in
the log, where they cost nothing; no batch is larger than many receivers take, unless one event is.
Limits: an admin's replay puts the cursor back, and forms new deliveries; what is formed when a
webhook is disabled is not bounded (300,000 events take 0.7 s).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

from openclick.instants import Instant
from openclick.webhooks import (
    MAX_BATCH_BODIES_BYTES,
    MAX_BATCH_EVENTS,
    DeliveryState,
    WebhookStatus,
)

UNATTEMPTED_DELIVERIES = 20
"""So many deliveries of a webhook may wait for their first attempt; more are formed after it."""


def form_deliveries(
    connection: sqlite3.Connection, now: Instant, new_batch_id: Callable[[], str]
) -> tuple[int, bool]:
    """Form deliveries for every webhook; return how many, and whether the log may hold more."""
    formed, more = 0, False
    for webhook in connection.execute(
        "SELECT webhook_id, events, domains, cursor FROM webhooks WHERE status <> ?",
        (WebhookStatus.DISABLED.value,),
    ).fetchall():
        room = UNATTEMPTED_DELIVERIES - _count_unattempted(connection, webhook["webhook_id"])
        if room <= 0:
            continue  # an attempt makes room, and its end asks again
        number, is_behind = _form_for(connection, webhook, room, now, new_batch_id)
        formed += number
        more = more or is_behind
    return formed, more


def form_all(connection: sqlite3.Connection, webhook_id: str, now: Instant) -> None:
    """Form deliveries of everything that the log holds for a webhook, however much it is."""
    cursor = None
    while (webhook := _webhook(connection, webhook_id)) and webhook["cursor"] != cursor:
        cursor = webhook["cursor"]
        _form_for(
            *(connection, webhook, UNATTEMPTED_DELIVERIES, now),
            lambda: connection.execute("SELECT lower(hex(randomblob(16)))").fetchone()[0],
        )


def _webhook(connection: sqlite3.Connection, webhook_id: str) -> sqlite3.Row | None:
    found: sqlite3.Row | None = connection.execute(
        "SELECT webhook_id, events, domains, cursor FROM webhooks WHERE webhook_id = ?",
        (webhook_id,),
    ).fetchone()
    return found


def _form_for(
    connection: sqlite3.Connection,
    webhook: sqlite3.Row,
    room: int,
    now: Instant,
    new_batch_id: Callable[[], str],
) -> tuple[int, bool]:
    rows = connection.execute(
        "SELECT seq, type, sending_domain, length(body) AS body_bytes FROM events "
        "WHERE seq > ? ORDER BY seq LIMIT ?",
        (webhook["cursor"], room * MAX_BATCH_EVENTS),
    ).fetchall()
    batches = _batches(webhook, rows)
    read_up_to = rows[-1]["seq"] if rows else webhook["cursor"]
    if len(batches) > room:  # large events: what there is no room for is read again
        read_up_to = batches[room][0] - 1
    for batch in batches[:room]:
        _insert(connection, webhook["webhook_id"], batch, now, new_batch_id())
    if rows:
        connection.execute(
            "UPDATE webhooks SET cursor = ? WHERE webhook_id = ?",
            (read_up_to, webhook["webhook_id"]),
        )
    is_behind = len(batches) < room and len(rows) == room * MAX_BATCH_EVENTS
    return min(len(batches), room), is_behind


def _batches(webhook: sqlite3.Row, rows: list[sqlite3.Row]) -> list[list[int]]:
    """Return the places of the events that are for this webhook, in batches."""
    names, domains = set(json.loads(webhook["events"])), set(json.loads(webhook["domains"]))
    batches: list[list[int]] = []
    left_events = left_bytes = 0
    for row in rows:
        if row["type"] not in names or (domains and row["sending_domain"] not in domains):
            continue
        if left_events == 0 or row["body_bytes"] > left_bytes:
            batches.append([])
            left_events, left_bytes = MAX_BATCH_EVENTS, MAX_BATCH_BODIES_BYTES
        batches[-1].append(row["seq"])
        left_events, left_bytes = left_events - 1, left_bytes - row["body_bytes"]
    return batches


def _count_unattempted(connection: sqlite3.Connection, webhook_id: str) -> int:
    row = connection.execute(
        "SELECT count(*) AS number FROM deliveries WHERE webhook_id = ? AND state = 'pending' "
        "AND attempts = 0",
        (webhook_id,),
    ).fetchone()
    return int(row["number"])


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
