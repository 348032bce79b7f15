"""Removes old verdicts, events and deliveries from openclick.db, a small step at a time.

Called by the sidecar's bookkeeper, the file's writing side.  Promises: a step looks at a bounded
number of rows, found by a key or an index and never by a scan; no event goes that an active webhook
has not read, or that a delivery still holds; a pending delivery stays whatever its age.

Limits: rows go in the order in which they were written.  One that a wrong clock has dated into the
future waits for that day, and so may some behind it.
"""

from __future__ import annotations

from openclick.instants import Instant
from openclick.store.database import Database
from openclick.webhooks import DeliveryState, WebhookStatus

_LAST_SEQ = 2**63 - 1


class Retention:
    """The sweep of openclick.db; every method returns how many rows it removed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sweep_verdicts(self, before: Instant, limit: int) -> int:
        """Remove verdicts on hits received before an instant, of the oldest `limit` verdicts."""
        with self._database.transaction() as connection:
            return connection.execute(
                "DELETE FROM verdicts WHERE received_at < ? AND rowid IN "
                "(SELECT rowid FROM verdicts ORDER BY rowid LIMIT ?)",
                (before, limit),
            ).rowcount

    def sweep_deliveries(self, before: Instant, limit: int) -> int:
        """Remove deliveries that ended before an instant, with their attempts."""
        with self._database.transaction() as connection:
            return connection.execute(
                "DELETE FROM deliveries WHERE state <> ? AND delivery_id IN "
                "(SELECT delivery_id FROM deliveries WHERE finished_at IS NOT NULL "
                "AND finished_at < ? ORDER BY finished_at LIMIT ?)",
                (DeliveryState.PENDING.value, before, limit),
            ).rowcount

    def sweep_events(self, before: Instant, limit: int) -> int:
        """Remove events that occurred before an instant, of the oldest `limit` events.

        An event stays while a delivery holds it, so deliveries are swept first.
        """
        with self._database.transaction() as connection:
            # A bound of its own: inside the DELETE it would be looked at row by row, to the end.
            row = connection.execute(
                "SELECT min(cursor) AS read_up_to FROM webhooks WHERE status <> ?",
                (WebhookStatus.DISABLED.value,),
            ).fetchone()
            read_up_to = _LAST_SEQ if row["read_up_to"] is None else row["read_up_to"]
            return connection.execute(
                "DELETE FROM events WHERE occurred_at < ? AND seq IN "
                "(SELECT seq FROM events WHERE seq <= ? ORDER BY seq LIMIT ?) "
                "AND NOT EXISTS "
                "(SELECT 1 FROM delivery_events WHERE delivery_events.seq = events.seq)",
                (before, read_up_to, limit),
            ).rowcount
