"""The certificates of tracking domains in openclick.db."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from openclick.instants import Instant
from openclick.store.database import Database
from openclick.tracking_certificates import ASKED_FOR, TrackingCertificate


class CertificateView:
    """What the command and the status page read; the milter goes by `SendingDomain.https`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def https_names(self) -> frozenset[str]:
        """Return the tracking domains for which the sidecar can serve https."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT name FROM certificates WHERE serves_https").fetchall()
        return frozenset(row["name"] for row in rows)

    def many_certificates(self) -> list[TrackingCertificate]:
        """Return what is known of every name, by name."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM certificates ORDER BY name").fetchall()
        return [_from_row(row) for row in rows]


class CertificateBook(CertificateView):
    """What the sidecar and the command write."""

    def record_seen(self, seen: Iterable[TrackingCertificate]) -> None:
        """Write down what files hold; what is known of orders stays.

        Where it changes what the sidecar can serve, the generation grows, so that the milter looks.
        """
        with self._database.transaction() as connection:
            before = _https_names(connection)
            connection.executemany(
                "INSERT INTO certificates (name, serves_https, not_before_at, not_after_at, "
                "by_acme, file_fault) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                "serves_https = excluded.serves_https, not_before_at = excluded.not_before_at, "
                "not_after_at = excluded.not_after_at, by_acme = excluded.by_acme, "
                "file_fault = excluded.file_fault",
                [
                    (
                        each.name,
                        each.serves_https,
                        each.not_before_at,
                        each.not_after_at,
                        each.by_acme,
                        each.file_fault,
                    )
                    for each in seen
                ],
            )
            if _https_names(connection) != before:
                connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")

    def forget(self, names: Iterable[str]) -> None:
        """Remove names that are no tracking domains any more."""
        with self._database.transaction() as connection:
            connection.executemany(
                "DELETE FROM certificates WHERE name = ?", [(name,) for name in names]
            )

    def record_attempt(self, name: str, at: Instant, next_at: Instant) -> None:
        """Write down that an order is about to be made, and when the next one may be.

        As if it had failed: what becomes of it is written down later, if we live to see it.
        """
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE certificates SET attempted_at = ?, next_attempt_at = ?, "
                "failures = failures + 1 WHERE name = ?",
                (at, next_at, name),
            )

    def record_failure(
        self, name: str, code: str, message: str, failures: int, next_at: Instant
    ) -> None:
        """Write down why the order failed, and how many have failed in a row."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE certificates SET failure_code = ?, failure_message = ?, failures = ?, "
                "next_attempt_at = ? WHERE name = ?",
                (code, message, failures, next_at, name),
            )

    def record_obtained(self, name: str, next_at: Instant) -> None:
        """Write down that the order gave a certificate; the next one may be made at `next_at`."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE certificates SET failures = 0, failure_code = '', failure_message = '', "
                "next_attempt_at = ? WHERE name = ?",
                (next_at, name),
            )

    def order_now(self, name: str) -> bool:
        """Have a certificate ordered whatever the last order came to; False for unknown names."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "UPDATE certificates SET failures = 0, next_attempt_at = ? WHERE name = ?",
                (ASKED_FOR, name),
            )
        return cursor.rowcount == 1


def _https_names(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM certificates WHERE serves_https ORDER BY name")
    return [row["name"] for row in rows]


def _from_row(row: sqlite3.Row) -> TrackingCertificate:
    return TrackingCertificate(
        name=row["name"],
        serves_https=bool(row["serves_https"]),
        not_before_at=row["not_before_at"],
        not_after_at=row["not_after_at"],
        by_acme=bool(row["by_acme"]),
        file_fault=row["file_fault"],
        failures=row["failures"],
        attempted_at=row["attempted_at"],
        next_attempt_at=row["next_attempt_at"],
        failure_code=row["failure_code"],
        failure_message=row["failure_message"],
    )
