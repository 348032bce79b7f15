"""Claims deliveries for an attempt, and writes down how an attempt ended.

Called by `deliveries`, inside its transaction.  Promises: an attempt is written before it is made;
until its claim ends nobody else makes one, and where no end was written by then (a crash) the
delivery is due again, its place in the list unchanged; the health of the webhook changes in the
transaction that writes the end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Protocol

from openclick.circuit import Health, after_failure, after_gone, after_success
from openclick.instants import Instant
from openclick.store.webhooks import (
    abandon_deliveries,
    resume_deliveries,
    webhook_from_row,
    write_health,
)
from openclick.webhooks import (
    AttemptKind,
    Delivery,
    DeliveryState,
    Settlement,
    Webhook,
    WebhookStatus,
)


class Slots(Protocol):
    """How many attempts may be under way at once; counts those that are given out."""

    def free(self, webhook_id: str, *, is_failing: bool) -> int:
        """Return how many more attempts of a webhook may begin."""

    def held(self, webhook_id: str) -> int:
        """Return how many attempts of a webhook are under way."""

    def take(self, webhook_id: str, number: int, *, is_failing: bool) -> None:
        """Count attempts that begin."""


def claim_due(
    connection: sqlite3.Connection,
    now: Instant,
    claim_until: Instant,
    slots: Slots,
    under_way: Collection[int],
) -> list[tuple[Delivery, Webhook, AttemptKind]]:
    """Claim what is due, as far as there are slots, and write the attempts.

    Webhooks take turns, the one whose last attempt began longest ago first, and none gets a slot
    more than it holds while another one holds fewer and waits.  `under_way` are deliveries whose
    attempt's end is not written yet, whatever their claim says.
    """
    waiting = []
    for order, row in enumerate(_by_turn(connection, now)):
        webhook = webhook_from_row(row)
        kind = AttemptKind.LIST
        free = slots.free(webhook.webhook_id, is_failing=webhook.failures > 0)
        if free <= 0:
            continue
        if webhook.status is WebhookStatus.CIRCUIT_DISABLED:
            found, kind = _probe(connection, webhook, now, under_way), AttemptKind.PROBE
        else:
            found = _due(connection, webhook, now, free, under_way)
        held = slots.held(webhook.webhook_id)
        waiting += [(held + n, order, each, webhook, kind) for n, each in enumerate(found)]
    claimed = []
    for _, _, delivery, webhook, kind in sorted(waiting, key=lambda entry: entry[:2]):
        is_failing = webhook.failures > 0
        if slots.free(webhook.webhook_id, is_failing=is_failing) > 0:
            slots.take(webhook.webhook_id, 1, is_failing=is_failing)
            _begin(connection, delivery, kind, now, claim_until)
            claimed.append((delivery, webhook, kind))
    return claimed


def _by_turn(connection: sqlite3.Connection, now: Instant) -> list[sqlite3.Row]:
    # An attempt in the future was made by a clock that was ahead, and says nothing of its age.
    return connection.execute(
        "SELECT * FROM webhooks WHERE status <> ? AND coalesce(paused_until, 0) <= ? "
        "ORDER BY CASE WHEN last_attempt_at > ? THEN 0 ELSE coalesce(last_attempt_at, 0) END, "
        "webhook_id",
        (WebhookStatus.DISABLED.value, now, now),
    ).fetchall()


def _due(
    connection: sqlite3.Connection,
    webhook: Webhook,
    now: Instant,
    limit: int,
    under_way: Collection[int],
) -> list[Delivery]:
    rows = connection.execute(
        "SELECT * FROM deliveries WHERE webhook_id = ? AND state = ? AND next_attempt_at <= ? "
        "ORDER BY next_attempt_at, delivery_id LIMIT ?",
        (webhook.webhook_id, DeliveryState.PENDING.value, now, limit + len(under_way)),
    ).fetchall()
    return [delivery_from_row(row) for row in rows if row["delivery_id"] not in under_way][:limit]


def _probe(
    connection: sqlite3.Connection, webhook: Webhook, now: Instant, under_way: Collection[int]
) -> list[Delivery]:
    """Return the pending delivery that was tried longest ago, where a probe is due.

    What was never tried counts from when it was formed: so a long outage, in which each probe makes
    room for another delivery, goes on probing all of them.  None while an attempt is under way.
    """
    if webhook.probe_at is not None and webhook.probe_at > now:
        return []
    rows = connection.execute(
        "SELECT deliveries.*, coalesce(attempts.started_at, created_at) AS tried_at "
        "FROM deliveries LEFT JOIN attempts ON attempts.delivery_id = deliveries.delivery_id "
        "AND number = deliveries.attempts WHERE webhook_id = ? AND state = ? "
        "ORDER BY CASE WHEN tried_at > ? THEN 0 ELSE tried_at END, deliveries.delivery_id",
        (webhook.webhook_id, DeliveryState.PENDING.value, now),
    ).fetchall()
    if any(row["delivery_id"] in under_way or (row["claimed_until"] or 0) > now for row in rows):
        return []
    return [delivery_from_row(row) for row in rows[:1]]


def _begin(
    connection: sqlite3.Connection,
    delivery: Delivery,
    kind: AttemptKind,
    now: Instant,
    claim_until: Instant,
) -> None:
    connection.execute(
        "UPDATE deliveries SET attempts = attempts + 1, next_attempt_at = ?, claimed_until = ? "
        "WHERE delivery_id = ?",
        (claim_until, claim_until, delivery.delivery_id),
    )
    connection.execute(
        "INSERT INTO attempts (delivery_id, number, started_at, kind) VALUES (?, ?, ?, ?)",
        (delivery.delivery_id, delivery.attempts + 1, now, kind.value),
    )
    connection.execute(
        "UPDATE webhooks SET last_attempt_at = ? WHERE webhook_id = ?", (now, delivery.webhook_id)
    )


def settle(connection: sqlite3.Connection, settlement: Settlement) -> tuple[Webhook, Health] | None:
    """Write how an attempt ended, for delivery and webhook.

    Returns the webhook as it was and its new health where the status has changed, None otherwise
    or where the webhook was removed meanwhile.
    """
    claim, attempt = settlement.claim, settlement.attempt
    delivery_id = claim.delivery.delivery_id
    connection.execute(
        "UPDATE attempts SET finished_at = ?, status_code = ?, error = ?, excerpt = ?, "
        "outcome = ? WHERE delivery_id = ? AND number = ?",
        (
            attempt.finished_at,
            attempt.status_code,
            attempt.error,
            attempt.excerpt,
            attempt.outcome,
            delivery_id,
            claim.number,
        ),
    )
    _write_delivery(connection, settlement)
    row = connection.execute(
        "SELECT * FROM webhooks WHERE webhook_id = ?", (claim.delivery.webhook_id,)
    ).fetchone()
    return _write_webhook(connection, webhook_from_row(row), settlement) if row else None


def _write_delivery(connection: sqlite3.Connection, settlement: Settlement) -> None:
    # What was abandoned meanwhile, because its webhook was disabled, may still turn out delivered.
    state, finished_at = settlement.state, settlement.attempt.finished_at
    from_states = (DeliveryState.PENDING.value, DeliveryState.ABANDONED.value)
    if state is not DeliveryState.DELIVERED:
        from_states = (DeliveryState.PENDING.value, DeliveryState.PENDING.value)
    connection.execute(
        "UPDATE deliveries SET state = ?, finished_at = ?, next_attempt_at = ?, place = ?, "
        "waited_seconds = ?, claimed_until = NULL WHERE delivery_id = ? AND state IN (?, ?)",
        (
            state.value,
            None if state is DeliveryState.PENDING else finished_at,
            settlement.next_attempt_at,
            settlement.place,
            settlement.waited_seconds,
            settlement.claim.delivery.delivery_id,
            *from_states,
        ),
    )


def _write_webhook(
    connection: sqlite3.Connection, webhook: Webhook, settlement: Settlement
) -> tuple[Webhook, Health] | None:
    now = settlement.attempt.finished_at
    before = Health(webhook.status, webhook.status_reason, webhook.failures, webhook.probe_at)
    health = _health_after(before, settlement)
    if health != before:
        write_health(connection, webhook.webhook_id, health)
    if settlement.attempt.delivered:
        connection.execute(
            "UPDATE webhooks SET last_delivery_at = ? WHERE webhook_id = ?",
            (now, webhook.webhook_id),
        )
    elif settlement.pause_until is not None:
        connection.execute(
            "UPDATE webhooks SET paused_until = ? WHERE webhook_id = ?",
            (settlement.pause_until, webhook.webhook_id),
        )
    if health.status is before.status:
        return None
    if health.status is WebhookStatus.ACTIVE:
        resume_deliveries(connection, webhook.webhook_id, now)
    elif health.status is WebhookStatus.DISABLED:
        abandon_deliveries(connection, webhook.webhook_id, now)
    return webhook, health


def _health_after(health: Health, settlement: Settlement) -> Health:
    attempt = settlement.attempt
    if attempt.delivered:
        return after_success(health)
    if settlement.gone:
        return after_gone(health)
    return after_failure(health, attempt.finished_at, attempt.error, settlement.pause_until)


def delivery_from_row(row: sqlite3.Row) -> Delivery:
    """Return the delivery that a row of deliveries holds."""
    return Delivery(
        delivery_id=row["delivery_id"],
        webhook_id=row["webhook_id"],
        batch_id=row["batch_id"],
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        next_attempt_at=row["next_attempt_at"],
        created_at=row["created_at"],
        place=row["place"],
        waited_seconds=row["waited_seconds"],
        claimed_until=row["claimed_until"],
    )
