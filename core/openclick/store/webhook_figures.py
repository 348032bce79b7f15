"""How webhooks are doing: their latest attempts, and what waits for them.

Called by the status page; read-only.  Looks at the newest deliveries of each webhook by an index,
so that it costs the same however many there are.  No secret leaves the file here.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from openclick.instants import Instant
from openclick.store.database import Database
from openclick.store.deliveries import backlog_of
from openclick.webhooks import Backlog, DeliveryState, WebhookStatus

LATEST_DELIVERIES = 200
"""How many of the newest deliveries of each webhook, in each state, the figures are of."""

_LATEST = " UNION ALL ".join(
    "SELECT * FROM (SELECT delivery_id FROM deliveries WHERE webhook_id = :webhook "  # noqa: S608
    f"AND state = '{state.value}' ORDER BY delivery_id DESC LIMIT {LATEST_DELIVERIES})"
    for state in DeliveryState
)
_ATTEMPTS = (
    "SELECT count(*) AS made, coalesce(sum(attempts.outcome = 'accepted'), 0) AS accepted, "  # noqa: S608
    "coalesce(sum(attempts.number > 1), 0) AS retries "
    f"FROM attempts WHERE attempts.delivery_id IN ({_LATEST}) AND finished_at IS NOT NULL"
)
_LAST = (
    "SELECT finished_at, status_code, error, outcome FROM attempts "  # noqa: S608
    f"WHERE delivery_id IN ({_LATEST}) AND finished_at IS NOT NULL "
    "ORDER BY finished_at DESC LIMIT 1"
)
_ABANDONED = (
    "SELECT count(*) AS number FROM deliveries WHERE webhook_id = :webhook AND state = :abandoned"
)


@dataclass(frozen=True)
class LastAttempt:
    """How the last POST ended; `status_code` is None where no answer came."""

    finished_at: Instant
    accepted: bool
    status_code: int | None
    error: str


@dataclass(frozen=True)
class WebhookFigures:
    """One webhook: attempts of its newest deliveries, `accepted` by a 2xx, and its backlog."""

    webhook_id: str
    name: str
    url: str
    status: WebhookStatus
    status_reason: str
    attempts: int
    accepted: int
    retries: int
    abandoned: int
    last_attempt: LastAttempt | None
    backlog: Backlog


class WebhookFigureView:
    """What the status page reads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def many(self) -> list[WebhookFigures]:
        """Return every webhook, oldest first.  Raises StoreFault."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT webhook_id, name, url, status, status_reason, cursor FROM webhooks "
                "ORDER BY created_at, webhook_id"
            ).fetchall()
            return [_figures(connection, row) for row in rows]


def _figures(connection: sqlite3.Connection, webhook: sqlite3.Row) -> WebhookFigures:
    values = {"webhook": webhook["webhook_id"], "abandoned": DeliveryState.ABANDONED.value}
    attempts = connection.execute(_ATTEMPTS, values).fetchone()
    last = connection.execute(_LAST, values).fetchone()
    return WebhookFigures(
        webhook_id=webhook["webhook_id"],
        name=webhook["name"],
        url=webhook["url"],
        status=WebhookStatus(webhook["status"]),
        status_reason=webhook["status_reason"],
        attempts=int(attempts["made"]),
        accepted=int(attempts["accepted"]),
        retries=int(attempts["retries"]),
        abandoned=int(connection.execute(_ABANDONED, values).fetchone()["number"]),
        last_attempt=_last_attempt(last) if last else None,
        backlog=backlog_of(connection, webhook),
    )


def _last_attempt(row: sqlite3.Row) -> LastAttempt:
    return LastAttempt(
        finished_at=row["finished_at"],
        accepted=row["outcome"] == "accepted",
        status_code=row["status_code"],
        error=row["error"],
    )
