"""Deliveries in openclick.db as an admin looks at them, has them retried and has events replayed.

Called by `openclick.webhook_actions`.  Promises: whatever is done here the dispatcher finds at its
next round; a delivery whose attempt is under way is left to it.
"""

from __future__ import annotations

import json
import sqlite3

from openclick.instants import Instant
from openclick.store.claims import delivery_from_row
from openclick.store.database import Database
from openclick.store.far_instants import latest_claim_at
from openclick.webhooks import Attempt, AttemptKind, Delivery, DeliveryReport, DeliveryState

_REPORT = (
    "SELECT deliveries.*, attempts.kind, attempts.started_at, attempts.finished_at AS ended_at, "
    "attempts.status_code, attempts.error, attempts.excerpt, attempts.outcome, "
    "(SELECT count(*) FROM delivery_events WHERE delivery_events.delivery_id = "
    "deliveries.delivery_id) AS event_count FROM deliveries LEFT JOIN attempts "
    "ON attempts.delivery_id = deliveries.delivery_id AND number = deliveries.attempts "
)
_AGAIN = (
    "UPDATE deliveries SET state = 'pending', finished_at = NULL, next_attempt_at = ?, "
    "place = 0, waited_seconds = 0, claimed_until = NULL "
    "WHERE (state = 'abandoned' OR (state = 'pending' AND "
    "coalesce(claimed_until, 0) NOT BETWEEN ? AND ?)) AND "
)


class DeliveryDesk:
    """What the admin's side reads and asks for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def many_reports(
        self, webhook_id: str, state: DeliveryState | None, limit: int, before: int | None = None
    ) -> list[DeliveryReport]:
        """Return deliveries of a webhook, newest first; `before` is where the last page ended."""
        states = [state] if state is not None else list(DeliveryState)
        marks = ", ".join("?" * len(states))
        with self._database.reading() as connection:
            rows = connection.execute(
                _REPORT + f"WHERE webhook_id = ? AND state IN ({marks}) "
                "AND deliveries.delivery_id < ? ORDER BY deliveries.delivery_id DESC LIMIT ?",
                (webhook_id, *(s.value for s in states), before or 2**63 - 1, limit),
            ).fetchall()
        return [_report(row) for row in rows]

    def maybe_delivery(self, batch_id: str) -> Delivery | None:
        """Return the delivery with this batch id, None where there is none."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT * FROM deliveries WHERE batch_id = ?", (batch_id,)
            ).fetchone()
        return delivery_from_row(row) if row else None

    def retry(self, delivery_id: int, now: Instant) -> bool:
        """Make a delivery due now, its list at the beginning; False where it is under way."""
        with self._database.transaction() as connection:
            done = connection.execute(_AGAIN + "delivery_id = ?", (*_again(now), delivery_id))
            return done.rowcount == 1

    def retry_abandoned(self, webhook_id: str, now: Instant) -> int:
        """Make every abandoned delivery of a webhook due now; return how many there were."""
        with self._database.transaction() as connection:
            return connection.execute(
                _AGAIN + "state = 'abandoned' AND webhook_id = ?", (*_again(now), webhook_id)
            ).rowcount

    def replay(self, webhook_id: str, since: Instant) -> int:
        """Put the cursor of a webhook back before the first event from an instant on.

        Returns how many events that it has read already are for it again.  The cursor never moves
        on, so that what it has not read is not lost.
        """
        with self._database.transaction() as connection:
            webhook = connection.execute(
                "SELECT cursor, events, domains FROM webhooks WHERE webhook_id = ?", (webhook_id,)
            ).fetchone()
            first = connection.execute(
                "SELECT min(seq) AS seq FROM events WHERE occurred_at >= ?", (since,)
            ).fetchone()["seq"]
            if webhook is None or first is None or first > webhook["cursor"]:
                return 0
            connection.execute(
                "UPDATE webhooks SET cursor = ? WHERE webhook_id = ?", (first - 1, webhook_id)
            )
            return _count_matching(connection, webhook, first)


def _again(now: Instant) -> tuple[Instant, Instant, Instant]:
    """Return what _AGAIN asks for: when it is due, and which claims are of an attempt."""
    return now, now + 1, latest_claim_at(now)


def _count_matching(connection: sqlite3.Connection, webhook: sqlite3.Row, first: int) -> int:
    names, domains = json.loads(webhook["events"]), json.loads(webhook["domains"])
    name_marks, domain_marks = (", ".join("?" * len(values)) for values in (names, domains))
    matching = f"type IN ({name_marks}) AND (? OR sending_domain IN ({domain_marks}))"
    row = connection.execute(
        f"SELECT count(*) AS number FROM events WHERE seq BETWEEN ? AND ? AND {matching}",  # noqa: S608 - marks only
        (first, webhook["cursor"], *names, not domains, *domains),
    ).fetchone()
    return int(row["number"])


def _report(row: sqlite3.Row) -> DeliveryReport:
    attempt = None
    if row["ended_at"] is not None:
        attempt = Attempt(
            started_at=row["started_at"],
            finished_at=row["ended_at"],
            delivered=row["outcome"] == "accepted",
            status_code=row["status_code"],
            error=row["error"],
            excerpt=row["excerpt"],
            outcome=row["outcome"],
        )
    return DeliveryReport(
        delivery=delivery_from_row(row),
        event_count=row["event_count"],
        finished_at=row["finished_at"],
        last_started_at=row["started_at"],
        last_kind=AttemptKind(row["kind"]) if row["kind"] is not None else None,
        last_attempt=attempt,
    )
