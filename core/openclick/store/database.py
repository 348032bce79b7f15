"""One SQLite file of the store: opening, rights, pragmas, migrations, transactions.

Called by the store's other modules only; the one importer of sqlite3 beside them.  Promises: a
file is WAL and synchronous=FULL before the first write (a commit that returned survives a power
cut); it is 0660 whatever the umask; a file newer than the code is refused; every sqlite3 error
leaves as a StoreFault that names the file.

Limits: a reader's connection cannot checkpoint and cannot create a file.  Connections are not
bound to a thread, but one is used by one thread at a time.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from openclick.store.faults import StoreFault, StoreTooNew

BUSY_SECONDS = 5.0
"""How long the command and the registry wait for the other side's commit."""

_FILE_MODE = 0o660
_RETRY_SECONDS = 0.01


class Database:
    """A connection to one file, and what is common to all of them."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for single SELECTs; errors leave as StoreFault."""
        try:
            yield self._connection
        except sqlite3.Error as error:
            raise StoreFault(f"{self.path}: {error}") from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection inside BEGIN IMMEDIATE; commit at the end, roll back on any error.

        IMMEDIATE, because a deferred transaction that reads first cannot wait for a writer.
        """
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connection; it is not used again."""
        self._connection.close()


def open_writing(
    path: Path, schema: str, *, busy_seconds: float = BUSY_SECONDS, checkpoints: bool = True
) -> Database:
    """Open `path` to write, create it where it is missing, bring it to the newest schema.

    `schema` names the folder of numbered migrations.  `checkpoints` is False for a process that is
    not the file's owner: SQLite before 3.51.3 has a race when two processes checkpoint.  Raises
    StoreFault.
    """
    _create(path)
    database = _connect(path, "rw", busy_seconds)
    with _closed_on_fault(database):
        with database.reading() as connection:
            _enter_wal(connection, busy_seconds)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            if not checkpoints:
                connection.execute("PRAGMA wal_autocheckpoint = 0")
        _migrate(database, schema)
    return database


def open_reading(path: Path, schema: str, *, busy_seconds: float = BUSY_SECONDS) -> Database:
    """Open `path` read-only.

    Raises StoreFault, also where the file's schema is not the one this code knows: its owner
    migrates it, a reader waits for that.
    """
    database = _connect(path, "ro", busy_seconds)
    newest = _newest(schema)
    with _closed_on_fault(database):
        with database.reading() as connection:
            version = _version(connection)
        if version > newest:
            raise _too_new(path, version, newest)
        if version < newest:
            raise StoreFault(
                f"{path}: has schema {version}; its owner has not brought it to {newest}"
            )
    return database


def _enter_wal(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Turn a file to WAL, waiting for whoever does the same.

    SQLite's own busy time-out does not hold while the mode changes: two first starts at once, of
    the sidecar and the command say, would end one of them with "database is locked".
    """
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() >= deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


@contextmanager
def _closed_on_fault(database: Database) -> Iterator[None]:
    """Close a connection that turns out to be of no use."""
    try:
        yield
    except BaseException:
        database.close()
        raise


def _create(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    except FileExistsError:
        return
    except OSError as error:
        raise StoreFault(f"{path}: cannot be created: {error.strerror}") from error
    try:
        os.fchmod(descriptor, _FILE_MODE)
    finally:
        os.close(descriptor)


def _connect(path: Path, mode: str, busy_seconds: float) -> Database:
    try:
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}",
            uri=True,
            timeout=busy_seconds,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise StoreFault(f"{path}: {error}{_why_unopened(path)}") from error
    connection.row_factory = sqlite3.Row
    return Database(path, connection)


def _why_unopened(path: Path) -> str:
    """SQLite says "unable to open database file" for everything; say more where we can."""
    if not path.exists():
        return " (there is no such file)"
    return "" if os.access(path, os.R_OK | os.W_OK) else " (permission denied)"


def _migrate(database: Database, schema: str) -> None:
    newest = _newest(schema)
    with database.reading() as connection:
        version = _version(connection)
    if version > newest:
        raise _too_new(database.path, version, newest)
    if version == newest:
        return
    with database.transaction() as connection:
        # Read again: another process may have migrated while this one waited for the lock.
        for number in range(_version(connection) + 1, newest + 1):
            for statement in _statements(_migrations(schema)[number]):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _too_new(path: Path, version: int, newest: int) -> StoreTooNew:
    return StoreTooNew(
        f"{path}: has schema {version}, this OpenClick knows {newest}; need a newer OpenClick, "
        "or a back-up from before the upgrade"
    )


def _migrations(schema: str) -> dict[int, str]:
    folder = resources.files("openclick.store") / "schema" / schema
    return {
        int(match[1]): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if (match := re.fullmatch(r"(\d{4})_\w+\.sql", entry.name))
    }


def _newest(schema: str) -> int:
    return max(_migrations(schema))


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a migration one by one, since executescript would commit."""
    pending = ""
    for text_line in script.splitlines(keepends=True):
        pending += text_line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
