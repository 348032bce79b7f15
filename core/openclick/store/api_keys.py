"""Keys of the HTTP API in openclick.db."""

from __future__ import annotations

import json
import sqlite3

from openclick.api_keys import ApiKey, Permissions
from openclick.instants import Instant
from openclick.store.database import Database


class ApiKeyView:
    """What the API reads at every request."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def maybe_key(self, digest: bytes) -> ApiKey | None:
        """Return the key whose secret has this digest, None where there is none; revoked ones too.

        The digest is looked up, not the secret, so that the time it takes tells nothing of one.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT * FROM api_keys WHERE digest = ?", (digest,)
            ).fetchone()
        return _from_row(row) if row else None


class ApiKeyBook(ApiKeyView):
    """What the command writes."""

    def add(self, key: ApiKey, digest: bytes) -> None:
        """Add a key."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO api_keys (key_id, name, prefix, digest, permissions, "
                "allowed_domains, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    key.key_id,
                    key.name,
                    key.prefix,
                    digest,
                    key.permissions.value,
                    json.dumps(key.allowed_domains),
                    key.created_at,
                ),
            )

    def many_keys(self) -> list[ApiKey]:
        """Return every key, revoked ones too, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM api_keys ORDER BY created_at DESC, key_id"
            ).fetchall()
        return [_from_row(row) for row in rows]

    def revoke(self, key_id: str, at: Instant) -> bool:
        """Take a key out of use for ever; return False where there is none in use by that id."""
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE api_keys SET revoked_at = ? WHERE key_id = ? AND revoked_at IS NULL",
                (at, key_id),
            ).rowcount
        return changed == 1


def _from_row(row: sqlite3.Row) -> ApiKey:
    return ApiKey(
        key_id=row["key_id"],
        name=row["name"],
        prefix=row["prefix"],
        permissions=Permissions(row["permissions"]),
        allowed_domains=tuple(json.loads(row["allowed_domains"])),
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )
