"""Sending domains in openclick.db."""

from __future__ import annotations

import sqlite3

from openclick.domains import SendingDomain, VerificationFailure
from openclick.instants import Instant
from openclick.store.database import Database


class DomainView:
    """What the milter reads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def generation(self) -> int:
        """Return a number that grows whenever a domain changes."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()
        return int(row["value"])

    def many_domains(self) -> list[SendingDomain]:
        """Return every added domain, by name."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM domains ORDER BY name").fetchall()
        return [_from_row(row) for row in rows]

    def maybe_domain(self, name: str) -> SendingDomain | None:
        """Return the domain `name` (A-label, lower case), or None where it was never added."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM domains WHERE name = ?", (name,)).fetchone()
        return _from_row(row) if row else None

    def maybe_domain_by_id(self, domain_id: str) -> SendingDomain | None:
        """Return the domain with this id, or None where there is none."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT * FROM domains WHERE domain_id = ?", (domain_id,)
            ).fetchone()
        return _from_row(row) if row else None


class DomainBook(DomainView):
    """What the sidecar and the command write; every change makes the generation grow."""

    def add(self, domain: SendingDomain) -> bool:
        """Add a domain; return False, changing nothing, where its name is there already."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO domains (domain_id, name, opens_enabled, clicks_enabled, subdomain, "
                "created_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
                (
                    domain.domain_id,
                    domain.name,
                    domain.opens_enabled,
                    domain.clicks_enabled,
                    domain.subdomain,
                    domain.created_at,
                ),
            )
            if cursor.rowcount == 1:
                _grow_generation(connection)
            return cursor.rowcount == 1

    def update(self, domain: SendingDomain, updated_at: Instant) -> bool:
        """Write the defaults and the subdomain of a domain; False where it is not there any more.

        With another subdomain it is another tracking domain, of which nothing is known yet.
        """
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "UPDATE domains SET opens_enabled = ?, clicks_enabled = ?, "
                "verified_at = CASE WHEN subdomain = ? THEN verified_at END, "
                "failure_code = CASE WHEN subdomain = ? THEN failure_code END, "
                "failure_message = CASE WHEN subdomain = ? THEN failure_message END, "
                "subdomain = ? WHERE domain_id = ?",
                (
                    domain.opens_enabled,
                    domain.clicks_enabled,
                    *[domain.subdomain] * 4,
                    domain.domain_id,
                ),
            )
            _grow_generation(connection)
            return cursor.rowcount == 1

    def remove(self, domain_id: str) -> bool:
        """Remove a domain; return False where it is not there any more."""
        with self._database.transaction() as connection:
            cursor = connection.execute("DELETE FROM domains WHERE domain_id = ?", (domain_id,))
            _grow_generation(connection)
            return cursor.rowcount == 1

    def record_verified(self, name: str, checked_at: Instant) -> None:
        """Write down that a check of `name` succeeded."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE domains SET verified_at = ?, checked_at = ?, failure_code = NULL, "
                "failure_message = NULL WHERE name = ?",
                (checked_at, checked_at, name),
            )
            _grow_generation(connection)

    def record_failure(
        self, name: str, checked_at: Instant, failure: VerificationFailure, *, keep_state: bool
    ) -> None:
        """Write down why a check of `name` failed.

        `keep_state` is True where nothing could be learned (a name server did not answer): then a
        verified domain stays verified.
        """
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE domains SET checked_at = ?, failure_code = ?, failure_message = ?, "
                "verified_at = CASE WHEN ? THEN verified_at END WHERE name = ?",
                (checked_at, failure.code, failure.message, keep_state, name),
            )
            _grow_generation(connection)


def _grow_generation(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")


def _from_row(row: sqlite3.Row) -> SendingDomain:
    failure = None
    if row["failure_code"] is not None:
        failure = VerificationFailure(row["failure_code"], row["failure_message"])
    return SendingDomain(
        domain_id=row["domain_id"],
        name=row["name"],
        opens_enabled=bool(row["opens_enabled"]),
        clicks_enabled=bool(row["clicks_enabled"]),
        subdomain=row["subdomain"],
        created_at=row["created_at"],
        verified_at=row["verified_at"],
        checked_at=row["checked_at"],
        failure=failure,
    )
