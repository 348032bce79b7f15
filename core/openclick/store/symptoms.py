"""What `openclick doctor` asks openclick.db: how each webhook does.

Read-only, one look a call.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from openclick.store.database import Database
from openclick.store.deliveries import read_backlog
from openclick.store.webhooks import webhook_from_row
from openclick.webhooks import Backlog, DeliveryState, Webhook


@dataclass(frozen=True)
class WebhookState:
    """A webhook, what waits for it, and how many of its deliveries were given up."""

    webhook: Webhook
    backlog: Backlog
    abandoned: int


class Symptoms:
    """The questions; a part of `RegistryReader`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def webhooks(self) -> list[WebhookState]:
        """Return how each webhook does, oldest first.  Raises StoreFault."""
        backlogs = {backlog.webhook_id: backlog for backlog in read_backlog(self._database)}
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM webhooks ORDER BY created_at, webhook_id"
            ).fetchall()
            given_up = dict(
                connection.execute(
                    "SELECT webhook_id, count(*) FROM deliveries WHERE state = ? GROUP BY 1",
                    (DeliveryState.ABANDONED.value,),
                ).fetchall()
            )
        return [
            WebhookState(webhook_from_row(row), backlog, given_up.get(row["webhook_id"], 0))
            for row in rows
            if (backlog := backlogs.get(row["webhook_id"])) is not None
        ]


def sqlite_version() -> str:
    """Return the version of SQLite that this process uses."""
    return sqlite3.sqlite_version
