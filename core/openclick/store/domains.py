"""Sending domains in openclick.db, and the names that links were sent with.

A tracking name is kept for ever once it was verified: only then was mail tracked with it.  One that
was set and never verified is kept for a week and then forgotten.  Each name asks a CA for
certificates, which are counted there: so a sending domain is given no more than MOST_NEW_NAMES a
week, and MOST_NAMES in all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from openclick.domains import (
    NameState,
    Scheme,
    SendingDomain,
    TrackingName,
    VerificationFailure,
    VerificationMode,
)
from openclick.instants import SECOND, Instant
from openclick.store.database import Database

_NAMES = """
    SELECT names.*, CASE
        WHEN names.name IN (
            SELECT subdomain || '.' || name FROM domains WHERE subdomain <> ''
        ) THEN 'current'
        WHEN EXISTS (SELECT 1 FROM domains WHERE domains.name = names.sending_domain) THEN 'former'
        ELSE 'removed'
    END AS state
    FROM tracking_names AS names ORDER BY names.name
"""


MOST_NEW_NAMES = 20
"""So many names a sending domain is given in a week: well below what a CA allows for one."""
MOST_NAMES = 100
_NEW_SECONDS = 7 * 86_400


class TooManyNames(Exception):
    """A sending domain has had so many tracking domains that it is given no further one now."""


class DomainView:
    """What the milter reads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def generation(self) -> int:
        """Return a number that grows whenever mail may notice that a domain has changed."""
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
        return self._one("SELECT * FROM domains WHERE name = ?", name)

    def maybe_domain_by_id(self, domain_id: str) -> SendingDomain | None:
        """Return the domain with this id, or None where there is none."""
        return self._one("SELECT * FROM domains WHERE domain_id = ?", domain_id)

    def maybe_sending_domain(self, tracking_domain: str) -> str | None:
        """Return whose links a tracking domain was last given to, or None where it never was.

        Removed domains and former subdomains count too: their links are still clicked.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT sending_domain FROM tracking_names WHERE name = ?", (tracking_domain,)
            ).fetchone()
        return str(row["sending_domain"]) if row else None

    def tracking_names(self) -> list[TrackingName]:
        """Return every name that is kept, by name: current, former and removed."""
        with self._database.reading() as connection:
            rows = connection.execute(_NAMES).fetchall()
        return [_name_from_row(row) for row in rows]

    def _one(self, query: str, value: str) -> SendingDomain | None:
        with self._database.reading() as connection:
            row = connection.execute(query, (value,)).fetchone()
        return _from_row(row) if row else None


class DomainBook(DomainView):
    """What the sidecar and the command write."""

    def add(self, domain: SendingDomain) -> bool:
        """Add a domain; return False, changing nothing, where its name is there already.

        Raises TooManyNames.
        """
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO domains (domain_id, name, opens_enabled, clicks_enabled, subdomain, "
                "created_at, scheme, verification) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (name) DO NOTHING",
                (
                    domain.domain_id,
                    domain.name,
                    domain.opens_enabled,
                    domain.clicks_enabled,
                    domain.subdomain,
                    domain.created_at,
                    domain.scheme,
                    domain.verification,
                ),
            )
            if cursor.rowcount == 1:
                _add_name(connection, domain, domain.created_at)
                _grow_generation(connection)
            return cursor.rowcount == 1

    def update(self, domain: SendingDomain, updated_at: Instant) -> bool:
        """Write what the admin says of a domain; return False where it is not there any more.

        With another subdomain it is another tracking domain, of which nothing is known yet.
        Raises TooManyNames.
        """
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT subdomain FROM domains WHERE domain_id = ?", (domain.domain_id,)
            ).fetchone()
            if row is None:
                return False
            connection.execute(
                "UPDATE domains SET opens_enabled = ?, clicks_enabled = ?, subdomain = ?, "
                "scheme = ?, verification = ? WHERE domain_id = ?",
                (
                    domain.opens_enabled,
                    domain.clicks_enabled,
                    domain.subdomain,
                    domain.scheme,
                    domain.verification,
                    domain.domain_id,
                ),
            )
            if row["subdomain"] != domain.subdomain:
                _forget_checks(connection, domain.domain_id)
                _add_name(connection, domain, updated_at)
            _grow_generation(connection)
            return True

    def remove(self, domain_id: str) -> bool:
        """Remove a domain; its names stay.  Return False where it is not there any more."""
        with self._database.transaction() as connection:
            cursor = connection.execute("DELETE FROM domains WHERE domain_id = ?", (domain_id,))
            if cursor.rowcount == 1:
                _grow_generation(connection)
            return cursor.rowcount == 1

    def record_verified(
        self, name: str, checked_at: Instant, *, https: bool = False, subdomain: str | None = None
    ) -> bool:
        """Write down that a check of `name` succeeded, over https or not.

        Nothing is written, and False returned, where its subdomain is not `subdomain` any more:
        then it was another tracking domain that was checked.
        """
        with self._database.transaction() as connection:
            before = _checked(connection, name, subdomain)
            if before is None:
                return False
            connection.execute(
                "UPDATE domains SET verified_at = ?, checked_at = ?, https = ?, "
                "failing_seconds = 0, failure_code = NULL, failure_message = NULL WHERE name = ?",
                (checked_at, checked_at, https, name),
            )
            connection.execute(
                "UPDATE tracking_names SET verified_at = COALESCE(verified_at, ?) WHERE name = ?",
                (checked_at, f"{before['subdomain']}.{name}"),
            )
            if before["verified_at"] is None or bool(before["https"]) != https:
                _grow_generation(connection)
            return True

    def record_failure(
        self,
        name: str,
        checked_at: Instant,
        failure: VerificationFailure,
        *,
        keep_state: bool,
        failing_seconds: float = 0.0,
        subdomain: str | None = None,
    ) -> bool:
        """Write down why a check of `name` failed, and for how long checks have.

        `keep_state` is True where a verified domain stays verified.  `subdomain`: see
        `record_verified`.
        """
        with self._database.transaction() as connection:
            before = _checked(connection, name, subdomain)
            if before is None:
                return False
            connection.execute(
                "UPDATE domains SET checked_at = ?, failure_code = ?, failure_message = ?, "
                "failing_seconds = ?, verified_at = CASE WHEN ? THEN verified_at END, "
                "https = CASE WHEN ? THEN https ELSE 0 END WHERE name = ?",
                (
                    checked_at,
                    failure.code,
                    failure.message,
                    failing_seconds,
                    keep_state,
                    keep_state,
                    name,
                ),
            )
            if before["verified_at"] is not None and not keep_state:
                _grow_generation(connection)
            return True

    def record_names(self, found: Iterable[tuple[str, bool]], checked_at: Instant) -> None:
        """Write down which names DNS says point here, and which it says do not."""
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE tracking_names SET points_here = :here, checked_at = :at, "
                "pointed_here_at = CASE WHEN :here THEN :at ELSE pointed_here_at END "
                "WHERE name = :name",
                [{"name": name, "here": here, "at": checked_at} for name, here in found],
            )


def _checked(
    connection: sqlite3.Connection, name: str, subdomain: str | None
) -> sqlite3.Row | None:
    """Return what is known of the domain that was checked; None where it is another by now."""
    row: sqlite3.Row | None = connection.execute(
        "SELECT verified_at, https, subdomain FROM domains WHERE name = ?", (name,)
    ).fetchone()
    if row is None or subdomain not in (None, row["subdomain"]):
        return None
    return row


def _add_name(connection: sqlite3.Connection, domain: SendingDomain, at: Instant) -> None:
    if not domain.subdomain:
        return
    query = "SELECT 1 FROM tracking_names WHERE name = ?"
    if connection.execute(query, (domain.tracking_domain,)).fetchone() is None:
        _make_room(connection, domain.name, at)
    connection.execute(
        "INSERT INTO tracking_names (name, sending_domain, added_at) VALUES (?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET sending_domain = excluded.sending_domain",
        (domain.tracking_domain, domain.name, at),
    )


def _make_room(connection: sqlite3.Connection, sending_domain: str, at: Instant) -> None:
    """Forget names that no link was sent with.  Raises TooManyNames where too many are left."""
    new_since = at - _NEW_SECONDS * SECOND
    connection.execute(
        "DELETE FROM tracking_names WHERE sending_domain = ? AND verified_at IS NULL "
        "AND added_at <= ? AND name NOT IN (SELECT subdomain || '.' || name FROM domains)",
        (sending_domain, new_since),
    )
    kept = connection.execute(
        "SELECT COUNT(*) AS all_names, COALESCE(SUM(added_at > ?), 0) AS new_names "
        "FROM tracking_names WHERE sending_domain = ?",
        (new_since, sending_domain),
    ).fetchone()
    if kept["new_names"] >= MOST_NEW_NAMES:
        raise TooManyNames(
            f"{sending_domain} was given {kept['new_names']} tracking domains in the last 7 days, "
            "as many as there may be; need one that it had before, or patience"
        )
    if kept["all_names"] >= MOST_NAMES:
        raise TooManyNames(
            f"{sending_domain} has had {kept['all_names']} tracking domains, whose links go on "
            "working, as many as there may be; need one that it had before"
        )


def _forget_checks(connection: sqlite3.Connection, domain_id: str) -> None:
    connection.execute(
        "UPDATE domains SET verified_at = NULL, checked_at = NULL, https = 0, failing_seconds = 0, "
        "failure_code = NULL, failure_message = NULL WHERE domain_id = ?",
        (domain_id,),
    )


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
        scheme=Scheme(row["scheme"]),
        verification=VerificationMode(row["verification"]),
        https=bool(row["https"]),
        failing_seconds=row["failing_seconds"],
    )


def _name_from_row(row: sqlite3.Row) -> TrackingName:
    return TrackingName(
        name=row["name"],
        sending_domain=row["sending_domain"],
        state=NameState(row["state"]),
        added_at=row["added_at"],
        points_here=bool(row["points_here"]),
        checked_at=row["checked_at"],
        pointed_here_at=row["pointed_here_at"],
        verified_at=row["verified_at"],
    )
