"""Copies a store's file while it is in use.

Called by `openclick store backup`.  Promises: a copy is one moment of its file, whole, checked, on
disk, with the rights of the original; writers are not held up, since the copy reads one snapshot.
Limits: while a large file is copied its write-ahead log cannot be reset and grows.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from openclick.store.database import connect
from openclick.store.faults import StoreFault

OnProgress = Callable[[int, int], None]
"""Called with the pages copied and the pages there are."""

_STEP_PAGES = 1000
_BUSY_SECONDS = 5.0


def back_up_file(source: Path, target: Path, on_progress: OnProgress) -> None:
    """Copy the database `source` to `target`, which does not exist yet.  Raises StoreFault."""
    database = connect(source, "ro", _BUSY_SECONDS)
    try:
        with database.reading() as connection:
            # One snapshot for all steps: else SQLite begins anew whenever somebody commits.
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            _copy(connection, source, target, on_progress)
            connection.execute("COMMIT")
    finally:
        database.close()
    keep_rights(source, target)


def keep_rights(source: Path, target: Path) -> None:
    """Give `target` the mode, owner and group of `source`, as far as we may, and sync it.

    Raises StoreFault.
    """
    status = source.stat()
    try:
        descriptor = os.open(target, os.O_RDWR)
        try:
            if os.geteuid() == 0:
                os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, status.st_mode & 0o7777)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreFault(f"{target}: {error.strerror}") from error


def _copy(
    connection: sqlite3.Connection, source: Path, target: Path, on_progress: OnProgress
) -> None:
    os.close(_create(target))
    copy = sqlite3.connect(target, isolation_level=None)
    try:
        connection.backup(
            copy,
            pages=_STEP_PAGES,
            progress=lambda _status, remaining, total: on_progress(total - remaining, total),
            sleep=0,
        )
        found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreFault(f"{source}: not backed up: {error}") from error
    finally:
        copy.close()
    if found != "ok":
        raise StoreFault(f"{source}: is damaged ({found}); see: openclick store check")


def _create(target: Path) -> int:
    """Make the file for its owner alone, before anything is in it."""
    try:
        return os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise StoreFault(f"{target}: cannot be created: {error.strerror}") from error
