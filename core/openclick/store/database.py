"""One SQLite file of the store: opening, rights, pragmas, migrations, transactions.

Called by the store's other modules only; the one importer of sqlite3 beside them.  Promises: a
file is WAL and synchronous=FULL before the first write (a commit that returned survives a power
cut); it is 0660 whatever the umask; a file newer than the code is refused; every sqlite3 error
leaves as a StoreFault that names the file; a file that was deleted or replaced under an open
connection is noticed, since SQLite itself would go on writing into what nobody can find any more.

Limits: a reader's connection cannot checkpoint and cannot create a file.  Connections are not
bound to a thread, but one is used by one thread at a time.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from openclick.store.faults import (
    Place,
    StoreBusy,
    StoreCorrupt,
    StoreFault,
    StoreMoved,
    UnreadableRow,
)
from openclick.store.migrations import is_behind, migrate, require_newest

BUSY_SECONDS = 5.0
"""How long the command and the registry wait for the other side's commit."""

FILE_MODE = 0o660
"""The store's files are for the owner and the group of both daemons."""

_RETRY_SECONDS = 0.01
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Database:
    """A connection to one file, and what is common to all of them.

    `advice` ends the message of a file that is corrupt: what the admin is to do.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, place: Place | None, advice: str = ""
    ) -> None:
        self.path = path
        self.place = place
        self._connection = connection
        self._advice = advice
        self._log_path = path.with_name(f"{path.name}-wal")
        self._log_place: Place | None = None

    @property
    def moved(self) -> bool:
        """Whether the path names another file by now, or none; or its write-ahead log's does."""
        return self.is_displaced or place_of(self._log_path) != self._log_place

    @property
    def is_displaced(self) -> bool:
        """Whether the path names another file by now, or none."""
        return place_of(self.path) != self.place

    def watch_log(self) -> None:
        """Remember the write-ahead log too, which holds the last commits.

        While a connection is open SQLite neither deletes it nor makes another one.
        """
        self._log_place = place_of(self._log_path)

    def require_place(self) -> None:
        """Raise StoreMoved unless what this connection writes to is what the paths name."""
        if not self.moved:
            return
        if not self.is_displaced:
            # Only the log is gone: what it holds is brought into the file while it is still open.
            with self.reading() as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raise StoreMoved(f"{self.path}: was deleted or replaced while it was open")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for single SELECTs; errors leave as StoreFault."""
        try:
            yield self._connection
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def _fault(self, error: sqlite3.Error) -> StoreFault:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _CORRUPT:
            return StoreCorrupt(self.path, self.place, f"{error}{self._advice}")
        if is_of_a_text(error):
            return UnreadableRow(f"{self.path}: a text is no UTF-8")
        return (StoreBusy if code == sqlite3.SQLITE_BUSY else StoreFault)(f"{self.path}: {error}")

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

    def spare_bytes(self) -> int:
        """Return how much room there is inside the file, left by removed rows."""
        with self.reading() as connection:
            pages = connection.execute("PRAGMA freelist_count").fetchone()[0]
            size = connection.execute("PRAGMA page_size").fetchone()[0]
        return int(pages * size)

    def close(self) -> None:
        """Close the connection; it is not used again."""
        self._connection.close()


def open_writing(
    path: Path,
    schema: str,
    *,
    busy_seconds: float = BUSY_SECONDS,
    checkpoints: bool = True,
    advice: str = "",
    create: bool = True,
) -> Database:
    """Open `path` to write, `create` it where it is missing, bring it to the newest schema.

    `schema` names the folder of numbered migrations.  `checkpoints` is False for a process that is
    not the file's owner: SQLite before 3.51.3 has a race when two processes checkpoint.  Raises
    StoreFault.
    """
    if create:
        _create(path)
    database = connect(path, "rw", busy_seconds, advice)
    with _closed_on_fault(database):
        with database.reading() as connection:
            _enter_wal(connection, busy_seconds)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            if not checkpoints:
                connection.execute("PRAGMA wal_autocheckpoint = 0")
            behind = is_behind(path, connection, schema)
        if behind:
            with database.transaction() as connection:
                migrate(connection, schema)
        database.watch_log()
    return database


def open_reading(
    path: Path, schema: str, *, busy_seconds: float = BUSY_SECONDS, advice: str = ""
) -> Database:
    """Open `path` read-only.

    Raises StoreFault, also where the file's schema is not the one this code knows: its owner
    migrates it, a reader waits for that.
    """
    database = connect(path, "ro", busy_seconds, advice)
    with _closed_on_fault(database):
        with database.reading() as connection:
            require_newest(path, connection, schema)
        database.watch_log()
    return database


def is_of_a_text(error: sqlite3.Error) -> bool:
    """Tell whether a row holds a text that is no UTF-8: the file is well, the row is not.

    Python says so, not SQLite, whence there is no code to know it by.
    """
    return str(error).startswith("Could not decode to UTF-8")


def place_of(path: Path) -> Place | None:
    """Return which file stands at `path`, None where none does."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Place(status.st_dev, status.st_ino)


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
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE)
    except FileExistsError:
        return
    except OSError as error:
        raise StoreFault(f"{path}: cannot be created: {error.strerror}") from error
    try:
        os.fchmod(descriptor, FILE_MODE)
    finally:
        os.close(descriptor)


def connect(path: Path, mode: str, busy_seconds: float, advice: str = "") -> Database:
    """Open a file as it is, whatever its schema; `mode` is SQLite's, "ro" or "rw".

    Raises StoreFault.
    """
    place = place_of(path)
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
    database = Database(path, connection, place, advice)
    if database.is_displaced:  # between the two steps above
        database.close()
        raise StoreMoved(f"{path}: was replaced while it was being opened")
    return database


def _why_unopened(path: Path) -> str:
    """SQLite says "unable to open database file" for everything; say more where we can."""
    try:
        path.stat()
    except FileNotFoundError:
        return " (there is no such file)"
    except OSError as error:  # whoever may not enter the directory, say
        return f" ({error.strerror})"
    return "" if os.access(path, os.R_OK | os.W_OK) else " (permission denied)"
