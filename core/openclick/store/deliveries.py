"""Deliveries and attempts in openclick.db, as the dispatcher moves them along.

`forming` makes deliveries of the event log, `claims` begins and ends attempts; here they become one
transaction a round, so that a busy dispatcher waits for the disk once for many deliveries.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from openclick.circuit import Health
from openclick.instants import Instant
from openclick.store.claims import Slots, claim_due, settle
from openclick.store.database import Database
from openclick.store.far_instants import make_far_instants_due
from openclick.store.forming import form_deliveries
from openclick.webhooks import (
    AttemptKind,
    Backlog,
    Claim,
    Delivery,
    DeliveryState,
    Settlement,
    Webhook,
    WebhookStatus,
)


@dataclass(frozen=True)
class Round:
    """What one round came to.

    `changes` are the webhooks whose status has changed, each as it was, with its new health; `more`
    tells that the log may hold events that no delivery holds yet and that there is room for.
    """

    claims: tuple[Claim, ...]
    changes: tuple[tuple[Webhook, Health], ...]
    more: bool


class DeliveryBook:
    """What the dispatcher writes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen_at: Instant | None = None

    def form(self, now: Instant, new_batch_id: Callable[[], str]) -> int:
        """Put events that no delivery holds yet into deliveries; return how many were formed."""
        with self._database.transaction() as connection:
            return form_deliveries(connection, now, new_batch_id)[0]

    def go_round(
        self,
        now: Instant,
        settlements: Sequence[Settlement],
        slots: Slots,
        claim_until: Instant,
        under_way: Collection[int],
        new_batch_id: Callable[[], str],
    ) -> Round:
        """Write ends, form deliveries, claim what is due: all of it, or nothing.

        `under_way` are the deliveries of attempts that neither ended before nor end here.
        """
        with self._database.transaction() as connection:
            changes = [settle(connection, settlement) for settlement in settlements]
            _, more = form_deliveries(connection, now, new_batch_id)
            if self._clock_was_ahead(now, settlements):
                make_far_instants_due(connection, now)
            claimed = claim_due(connection, now, claim_until, slots, under_way)
        self._seen_at = now
        return Round(
            tuple(self._claim(*entry) for entry in claimed),
            tuple(change for change in changes if change is not None),
            more,
        )

    def settle(self, settlement: Settlement) -> tuple[Webhook, Health] | None:
        """Write one end; return the webhook as it was, and its new health where that changed."""
        with self._database.transaction() as connection:
            return settle(connection, settlement)

    def release(self, claims: Sequence[Claim], now: Instant) -> None:
        """Take claims back whose attempts were cut off: their deliveries are due at once."""
        with self._database.transaction() as connection:
            for claim in claims:
                connection.execute(
                    "UPDATE deliveries SET claimed_until = NULL, next_attempt_at = ? "
                    "WHERE delivery_id = ? AND state = ? AND claimed_until IS NOT NULL",
                    (now, claim.delivery.delivery_id, DeliveryState.PENDING.value),
                )
                connection.execute(
                    "UPDATE attempts SET finished_at = ?, error = ? "
                    "WHERE delivery_id = ? AND number = ?",
                    (
                        now,
                        "cut off: the sidecar was stopped",
                        claim.delivery.delivery_id,
                        claim.number,
                    ),
                )

    def event_bodies(self, delivery_id: int) -> tuple[bytes, ...]:
        """Return the finished JSON of each event of a delivery, in order."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT body FROM delivery_events JOIN events USING (seq) "
                "WHERE delivery_id = ? ORDER BY seq",
                (delivery_id,),
            ).fetchall()
        return tuple(row["body"] for row in rows)

    def count_by_state(self) -> dict[DeliveryState, int]:
        """Return how many deliveries are in each state."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT state, count(*) AS number FROM deliveries GROUP BY state"
            ).fetchall()
        found = {DeliveryState(row["state"]): int(row["number"]) for row in rows}
        return {state: found.get(state, 0) for state in DeliveryState}

    def backlog(self) -> list[Backlog]:
        """Return what waits for each webhook, whatever its status."""
        return read_backlog(self._database)

    def _clock_was_ahead(self, now: Instant, settlements: Sequence[Settlement]) -> bool:
        """Tell whether it may have been: before this was opened, or since."""
        seen = [settlement.attempt.finished_at for settlement in settlements]
        return self._seen_at is None or now < max(self._seen_at, *seen, 0)

    def _claim(self, delivery: Delivery, webhook: Webhook, kind: AttemptKind) -> Claim:
        bodies = self.event_bodies(delivery.delivery_id)
        return Claim(delivery, webhook, kind, delivery.attempts + 1, bodies)


def read_backlog(database: Database) -> list[Backlog]:
    """Return what waits for each webhook, for whoever may read openclick.db."""
    with database.reading() as connection:
        rows = connection.execute(
            "SELECT webhook_id, status, cursor FROM webhooks ORDER BY webhook_id"
        ).fetchall()
        return [backlog_of(connection, row) for row in rows]


def backlog_of(connection: sqlite3.Connection, webhook: sqlite3.Row) -> Backlog:
    """Return what waits for one webhook, of which id, status and cursor are given."""
    status = WebhookStatus(webhook["status"])
    pending = connection.execute(
        "SELECT count(*) AS number, min(delivery_id) AS oldest FROM deliveries "
        "WHERE webhook_id = ? AND state = ?",
        (webhook["webhook_id"], DeliveryState.PENDING.value),
    ).fetchone()
    # A disabled webhook skips events: what lies behind its cursor does not wait for it.
    unread = -1 if status is WebhookStatus.DISABLED else webhook["cursor"]
    row = connection.execute(
        "SELECT min(occurred_at) AS at FROM (SELECT * FROM (SELECT occurred_at FROM events "
        "WHERE ? >= 0 AND seq > ? ORDER BY seq LIMIT 1) UNION ALL "
        "SELECT * FROM (SELECT occurred_at FROM delivery_events JOIN events USING (seq) "
        "WHERE delivery_id = ? ORDER BY seq LIMIT 1))",
        (unread, unread, pending["oldest"]),
    ).fetchone()
    return Backlog(webhook["webhook_id"], status, int(pending["number"]), row["at"])
