"""Webhooks in openclick.db."""

from __future__ import annotations

import json
import sqlite3

from openclick.instants import Instant
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

    def describe(self, webhook: Webhook) -> None:
        """Write the name, URL, events and domains of a webhook that is there."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE webhooks SET name = ?, url = ?, events = ?, domains = ? "
                "WHERE webhook_id = ?",
                (
                    webhook.name,
                    webhook.url,
                    json.dumps(webhook.events),
                    json.dumps(webhook.domains),
                    webhook.webhook_id,
                ),
            )

    def enable(self, webhook_id: str, now: Instant) -> None:
        """Make a disabled webhook active, for the events from now on."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE webhooks SET status = ?, "
                "cursor = (SELECT coalesce(max(seq), cursor) FROM events) WHERE webhook_id = ?",
                (WebhookStatus.ACTIVE.value, webhook_id),
            )

    def disable(self, webhook_id: str, now: Instant, reason: str) -> None:
        """Disable a webhook: it gets no event until it is enabled."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE webhooks SET status = ? WHERE webhook_id = ?",
                (WebhookStatus.DISABLED.value, webhook_id),
            )

    def rotate_secret(self, webhook_id: str, secret: str, previous_expires_at: Instant) -> None:
        """Put a new secret in the place of the present one, which expires at an instant."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE webhooks SET previous_secret = secret, previous_secret_expires_at = ?, "
                "secret = ? WHERE webhook_id = ?",
                (previous_expires_at, secret, webhook_id),
            )

    def remove(self, webhook_id: str) -> bool:
        """Remove a webhook with its deliveries; return whether it was there."""
        with self._database.transaction() as connection:
            cursor = connection.execute("DELETE FROM webhooks WHERE webhook_id = ?", (webhook_id,))
            return cursor.rowcount == 1


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
        previous_secret=row["previous_secret"],
        previous_secret_expires_at=row["previous_secret_expires_at"],
        last_delivery_at=row["last_delivery_at"],
    )
