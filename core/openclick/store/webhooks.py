"""Webhooks in openclick.db."""

from __future__ import annotations

import json
import sqlite3

from openclick.circuit import Health
from openclick.instants import Instant
from openclick.store.database import Database
from openclick.store.forming import form_all
from openclick.webhooks import DeliveryState, Webhook, WebhookStatus

_INSERT = (
    "INSERT INTO webhooks (webhook_id, name, url, events, domains, secret, status, created_at, "
    "previous_secret, previous_secret_expires_at, status_reason, failures, probe_at, "
    "paused_until, last_delivery_at, cursor) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
    "(SELECT coalesce(max(seq), 0) FROM events))"
)


class WebhookBook:
    """The receivers of events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, webhook: Webhook) -> None:
        """Add a webhook; it receives the events from now on, none of the past."""
        with self._database.transaction() as connection:
            connection.execute(
                _INSERT,
                (
                    webhook.webhook_id,
                    webhook.name,
                    webhook.url,
                    json.dumps(webhook.events),
                    json.dumps(webhook.domains),
                    webhook.secret,
                    webhook.status.value,
                    webhook.created_at,
                    webhook.previous_secret,
                    webhook.previous_secret_expires_at,
                    webhook.status_reason,
                    webhook.failures,
                    webhook.probe_at,
                    webhook.paused_until,
                    webhook.last_delivery_at,
                ),
            )

    def many_webhooks(self) -> list[Webhook]:
        """Return every webhook, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM webhooks ORDER BY created_at DESC, webhook_id"
            ).fetchall()
        return [webhook_from_row(row) for row in rows]

    def one_webhook(self, webhook_id: str) -> Webhook:
        """Return the webhook `webhook_id`; raises KeyError where there is none."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT * FROM webhooks WHERE webhook_id = ?", (webhook_id,)
            ).fetchone()
        if row is None:
            raise KeyError(webhook_id)
        return webhook_from_row(row)

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
        """Make a webhook active.

        One that was disabled gets the events from now on; one whose circuit was open, all that
        waited for it, at once.
        """
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE webhooks SET cursor = (SELECT coalesce(max(seq), cursor) FROM events) "
                "WHERE webhook_id = ? AND status = ?",
                (webhook_id, WebhookStatus.DISABLED.value),
            )
            connection.execute(
                "UPDATE webhooks SET paused_until = NULL WHERE webhook_id = ?", (webhook_id,)
            )
            write_health(connection, webhook_id, Health(WebhookStatus.ACTIVE))
            resume_deliveries(connection, webhook_id, now)

    def disable(self, webhook_id: str, now: Instant, reason: str) -> None:
        """Disable a webhook; what it has not got by now is abandoned."""
        disabled = WebhookStatus.DISABLED
        with self._database.transaction() as connection:
            is_on = connection.execute(
                "SELECT 1 FROM webhooks WHERE webhook_id = ? AND status <> ?",
                (webhook_id, disabled.value),
            ).fetchone()
            write_health(connection, webhook_id, Health(disabled, reason))
            if is_on:
                abandon_deliveries(connection, webhook_id, now)

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
            return (
                connection.execute(
                    "DELETE FROM webhooks WHERE webhook_id = ?", (webhook_id,)
                ).rowcount
                == 1
            )


def write_health(connection: sqlite3.Connection, webhook_id: str, health: Health) -> None:
    """Write how a webhook does."""
    connection.execute(
        "UPDATE webhooks SET status = ?, status_reason = ?, failures = ?, probe_at = ? "
        "WHERE webhook_id = ?",
        (health.status.value, health.reason, health.failures, health.probe_at, webhook_id),
    )


def resume_deliveries(connection: sqlite3.Connection, webhook_id: str, now: Instant) -> None:
    """Make everything due that waits for a webhook and is not under way."""
    connection.execute(
        "UPDATE deliveries SET next_attempt_at = ? WHERE webhook_id = ? AND state = ? "
        "AND next_attempt_at > ? AND (claimed_until IS NULL OR claimed_until <= ?)",
        (now, webhook_id, DeliveryState.PENDING.value, now, now),
    )


def abandon_deliveries(connection: sqlite3.Connection, webhook_id: str, now: Instant) -> None:
    """Abandon everything that waits for a webhook which is being disabled.

    What no delivery holds yet is put into one first: it came while the webhook was on, so it must
    stand in the list of what an admin can have sent, and `enable` passes it over.
    """
    form_all(connection, webhook_id, now)
    connection.execute(
        "UPDATE deliveries SET state = ?, finished_at = ?, claimed_until = NULL "
        "WHERE webhook_id = ? AND state = ?",
        (DeliveryState.ABANDONED.value, now, webhook_id, DeliveryState.PENDING.value),
    )


def webhook_from_row(row: sqlite3.Row) -> Webhook:
    """Return the webhook that a row of webhooks holds."""
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
        status_reason=row["status_reason"],
        failures=row["failures"],
        probe_at=row["probe_at"],
        paused_until=row["paused_until"],
        last_delivery_at=row["last_delivery_at"],
    )
