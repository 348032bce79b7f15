"""The schemas of the store's files: numbered migrations, applied by a file's owner.

Called by `database` and `inspection`.  Promises: a migration runs once, whole or not at all; a file
newer than this code is refused.  Limits: forward only; the way back is a back-up.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from openclick.store.faults import StoreFault, StoreTooNew


def newest_version(schema: str) -> int:
    """Return the newest schema that this code knows; `schema` names the folder of migrations."""
    return max(_migrations(schema))


def version_of(connection: sqlite3.Connection) -> int:
    """Return the schema that a file has, 0 for a file without one."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def is_behind(path: Path, connection: sqlite3.Connection, schema: str) -> bool:
    """Tell whether a file must be migrated before it is used.

    Raises StoreTooNew where it was written by a newer OpenClick.
    """
    version, newest = version_of(connection), newest_version(schema)
    if version > newest:
        raise StoreTooNew(
            f"{path}: has schema {version}, this OpenClick knows {newest}; need a newer "
            "OpenClick, or a back-up from before the upgrade"
        )
    return version < newest


def require_newest(path: Path, connection: sqlite3.Connection, schema: str) -> None:
    """Refuse a file whose schema is not the one that this code knows.  Raises StoreFault."""
    if is_behind(path, connection, schema):
        raise StoreFault(
            f"{path}: has schema {version_of(connection)}; its owner has not brought it to "
            f"{newest_version(schema)}"
        )


def migrate(connection: sqlite3.Connection, schema: str) -> None:
    """Bring a file to the newest schema; called inside a transaction."""
    # The version is read again: another process may have migrated while this one waited.
    for number in range(version_of(connection) + 1, newest_version(schema) + 1):
        for statement in _statements(_migrations(schema)[number]):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")


def _migrations(schema: str) -> dict[int, str]:
    folder = resources.files("openclick.store") / "schema" / schema
    return {
        int(match[1]): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if (match := re.fullmatch(r"(\d{4})_\w+\.sql", entry.name))
    }


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a migration one by one, since executescript would commit."""
    pending = ""
    for text_line in script.splitlines(keepends=True):
        pending += text_line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
