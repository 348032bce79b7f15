"""Looks at the store's files as an admin would: whole, of the right schema, with the right rights.

Called by `openclick store check` and `openclick store migrate`.  Promises: `inspect` changes
nothing; a file that cannot be read is a report with a fault, not an error.  Limits: the integrity
check reads the whole file, and while it does the write-ahead log of a busy file grows.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from dataclasses import dataclass
from pathlib import Path

from openclick.store.database import FILE_MODE, connect, open_writing
from openclick.store.faults import StoreFault
from openclick.store.hits import read_file_id
from openclick.store.migrations import is_behind, newest_version, version_of

SCHEMAS = {"openclick.db": "openclick", "hits.db": "hits", "messages.db": "messages"}
"""The store's files in the order in which they are backed up, and where their migrations are."""

DIRECTORY_MODE = 0o2770
_MAX_FAULTS = 10
_LARGE_LOG_BYTES = 268_435_456
_BUSY_SECONDS = 5.0


@dataclass(frozen=True)
class FileReport:
    """What was found of one file; `schema` and `file_id` are None where they cannot be read.

    A file that is not there has no owner; `made` is False then.
    """

    name: str
    made: bool
    schema: int | None = None
    newest_schema: int = 0
    file_id: str | None = None
    size_bytes: int = 0
    log_bytes: int = 0
    mode: int = 0
    uid: int = -1
    gid: int = -1
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileSize:
    """How large a file and its write-ahead log are; a missing one has no bytes."""

    name: str
    size_bytes: int
    log_bytes: int


def file_sizes(directory: Path) -> list[FileSize]:
    """Return the sizes of a store's files, without opening any."""
    return [
        FileSize(name, _size(directory / name), _size(directory / f"{name}-wal"))
        for name in SCHEMAS
    ]


def inspect(directory: Path, name: str) -> FileReport:
    """Look at the file `name` of a store.  Raises StoreFault where nobody may."""
    path = directory / name
    status = _maybe_status(path)
    if status is None:
        # The daemons make their own; only openclick.db is there from the beginning.
        lacks = ("there is no such file; need: openclick init",) if name == "openclick.db" else ()
        return FileReport(name, made=False, faults=lacks)
    schema, file_id, damage = _look_inside(path, SCHEMAS[name])
    log_bytes = _size(path.with_name(f"{name}-wal"))
    return FileReport(
        name,
        made=True,
        schema=schema,
        newest_schema=newest_version(SCHEMAS[name]),
        file_id=file_id,
        size_bytes=status.st_size,
        log_bytes=log_bytes,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        faults=(*damage, *_rights(path, status, directory), *_log(log_bytes)),
    )


def inspect_directory(directory: Path) -> tuple[str, ...]:
    """Return what is wrong with the store's directory itself.  Raises StoreFault: no directory."""
    try:
        mode = stat.S_IMODE(directory.stat().st_mode)
    except OSError as error:
        raise StoreFault(f"{directory}: {error.strerror}; need: openclick init") from error
    if mode != DIRECTORY_MODE:
        return (f"has mode {mode:04o}; need {DIRECTORY_MODE:04o}, see: openclick init",)
    return ()


def migrate_file(directory: Path, name: str) -> tuple[int, int] | None:
    """Bring a file to the newest schema; return the schema it had, and the one it has.

    None where there is no such file.  Raises StoreFault, StoreTooNew among others.
    """
    before = require_known_schema(directory, name)
    if before is None:
        return None
    # The command leaves checkpoints to the file's owner.
    open_writing(directory / name, SCHEMAS[name], checkpoints=False).close()
    return before, newest_version(SCHEMAS[name])


def require_known_schema(directory: Path, name: str) -> int | None:
    """Return the schema that a file has, None where there is no such file.

    Raises StoreTooNew where it was written by a newer OpenClick; StoreFault where it cannot be
    read.
    """
    path = directory / name
    if _maybe_status(path) is None:
        return None
    database = connect(path, "ro", _BUSY_SECONDS)
    try:
        with database.reading() as connection:
            is_behind(path, connection, SCHEMAS[name])
            return version_of(connection)
    finally:
        database.close()


def _look_inside(path: Path, schema: str) -> tuple[int | None, str | None, list[str]]:
    """Return schema, file id, and what is wrong inside the file."""
    version, file_id = None, None
    try:
        database = connect(path, "ro", _BUSY_SECONDS)
        try:
            with database.reading() as connection:
                version = version_of(connection)
                faults = _schema_faults(path, connection, schema)
                file_id = read_file_id(connection) if schema == "hits" and not faults else None
                rows = connection.execute(f"PRAGMA integrity_check({_MAX_FAULTS})").fetchall()
            return version, file_id, faults + [row[0] for row in rows if row[0] != "ok"]
        finally:
            database.close()
    except StoreFault as fault:
        return version, file_id, [str(fault).removeprefix(f"{path}: ")]


def _schema_faults(path: Path, connection: sqlite3.Connection, schema: str) -> list[str]:
    try:
        behind = is_behind(path, connection, schema)
    except StoreFault as fault:
        return [str(fault).removeprefix(f"{path}: ")]
    if not behind:
        return []
    version, newest = version_of(connection), newest_version(schema)
    return [f"has schema {version}; need {newest}, see: openclick store migrate"]


def _rights(path: Path, status: os.stat_result, directory: Path) -> list[str]:
    mode, faults = stat.S_IMODE(status.st_mode), list[str]()
    if mode != FILE_MODE:
        faults.append(f"has mode {mode:04o}; need {FILE_MODE:04o}, so that both daemons can use it")
    if status.st_gid != directory.stat().st_gid:
        faults.append(f"is not of the group of {path.parent}; see: openclick init")
    return faults


def _log(log_bytes: int) -> list[str]:
    if log_bytes < _LARGE_LOG_BYTES:
        return []
    return [f"has a write-ahead log of {log_bytes} bytes; some reader does not let go of it"]


def _maybe_status(path: Path) -> os.stat_result | None:
    """Return the status of a file, None where there is none.  Raises StoreFault."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreFault(f"{path}: cannot be looked at: {error.strerror}") from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
