"""Webhooks in openclick.db."""

from __future__ import annotations

import json
import sqlite3

from openclick.store.database import Database
from openclick.webhooks import Webhook, WebhookStatus


class WebhookBook:
    """The receivers of events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, webhook: Webhook) -> None:
        """Add a webhook; it receives the events from now on, none of the past."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO webhooks (webhook_id, name, url, events, domains, secret, status, "
                "created_at, cursor) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(seq), 0) FROM events))",
                (
                    webhook.webhook_id,
                    webhook.name,
                    webhook.url,
                    json.dumps(webhook.events),
                    json.dumps(webhook.domains),
                    webhook.secret,
                    webhook.status.value,
                    webhook.created_at,
                ),
            )

    def many_webhooks(self) -> list[Webhook]:
        """Return every webhook, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM webhooks ORDER BY created_at DESC, webhook_id"
            ).fetchall()
        return [_from_row(row) for row in rows]

    def one_webhook(self, webhook_id: str) -> Webhook:
        """Return the webhook `webhook_id`; raises KeyError where there is none."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT * FROM webhooks WHERE webhook_id = ?", (webhook_id,)
            ).fetchone()
        if row is None:
            raise KeyError(webhook_id)
        return _from_row(row)


def _from_row(row: sqlite3.Row) -> Webhook:
    return Webhook(
        webhook_id=row["webhook_id"],
        name=row["name"],
        url=row["url"],
        events=tuple(json.loads(row["events"])),
        domains=tuple(json.loads(row["domains"])),
        secret=row["secret"],
        status=WebhookStatus(row["status"]),
        created_at=row["created_at"],
    )
