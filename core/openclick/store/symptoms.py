"""What `openclick doctor` asks openclick.db: how each webhook does.

Read-only, one look a call.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from openclick.store.database import open_reading
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

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def sqlite_version() -> str:
    """Return the version of SQLite that this process uses."""
    return sqlite3.sqlite_version
