"""What `openclick doctor` asks openclick.db: how each webhook does.

Read-only, one look a call.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from openclick.instants import Instant
from openclick.store.claims import delivery_from_row
from openclick.store.database import open_reading
from openclick.store.deliveries import read_backlog
from openclick.store.webhooks import webhook_from_row
from openclick.webhooks import Backlog, Delivery, DeliveryState, Webhook, WebhookStatus


@dataclass(frozen=True)
class WebhookState:
    """A webhook, what waits for it, and how many of its deliveries were given up.

    `oldest` is its oldest pending delivery.  `due_at` is when the first attempt of all that wait is
    due, `unread_at` when the first event occurred that is in no delivery yet: None for none.
    """

    webhook: Webhook
    backlog: Backlog
    abandoned: int
    oldest: Delivery | None = None
    due_at: Instant | None = None
    unread_at: Instant | None = None


class Symptoms:
    """The questions; opened by `Store.symptoms`, closed by the caller."""

    def __init__(self, directory: Path) -> None:
        self._database = open_reading(directory / "openclick.db", "openclick")

    def webhooks(self) -> list[WebhookState]:
        """Return how each webhook does, oldest first.  Raises StoreFault."""
        backlogs = {backlog.webhook_id: backlog for backlog in read_backlog(self._database)}
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM webhooks ORDER BY created_at, webhook_id"
            ).fetchall()
            return [
                _state(connection, row, backlog)
                for row in rows
                if (backlog := backlogs.get(row["webhook_id"])) is not None
            ]

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _state(connection: sqlite3.Connection, row: sqlite3.Row, backlog: Backlog) -> WebhookState:
    def one(query: str, *values: object) -> sqlite3.Row | None:
        found: sqlite3.Row | None = connection.execute(query, values).fetchone()
        return found

    webhook_id, pending = row["webhook_id"], DeliveryState.PENDING.value
    of_state = "FROM deliveries WHERE webhook_id = ? AND state = ?"
    given_up = one(f"SELECT count(*) AS n {of_state}", webhook_id, DeliveryState.ABANDONED.value)
    oldest = one(f"SELECT * {of_state} ORDER BY delivery_id LIMIT 1", webhook_id, pending)
    due = one(f"SELECT min(next_attempt_at) AS at {of_state}", webhook_id, pending)
    unread = None
    if backlog.status is not WebhookStatus.DISABLED:  # such a one skips them
        query = "SELECT occurred_at AS at FROM events WHERE seq > ? ORDER BY seq LIMIT 1"
        unread = one(query, row["cursor"])
    return WebhookState(
        webhook_from_row(row),
        backlog,
        given_up["n"] if given_up else 0,
        delivery_from_row(oldest) if oldest else None,
        due["at"] if due else None,
        unread["at"] if unread else None,
    )


def sqlite_version() -> str:
    """Return the version of SQLite that this process uses."""
    return sqlite3.sqlite_version
