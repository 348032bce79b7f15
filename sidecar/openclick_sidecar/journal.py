"""The journal: files beside the store that take hits while the store cannot.

Written by `keeper` in the recorder's thread, read back by `replay`, counted by the command.  One
record is one line: the CRC-32 of what follows in eight hex digits, a blank, the hit as JSON.  A
file's name is its id: "hits-", the instant it was begun, eight random hex digits, ".v1.journal".

Promises: on return from `append` the hits are on disk (fdatasync), in a file that its directory
names; a record that a power cut has torn is passed over and never runs into a later one, since each
process, and each fault, begins a new file; a file that somebody still writes is locked (flock), so
that nobody else replays it.  Limits: a file that somebody deletes is gone with what it holds.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from openclick.durable import sync_directory
from openclick.free_space import FreeSpace
from openclick.hits import Hit
from openclick.instants import Instant
from openclick.tokens import Kind

_ENDING = ".v1.journal"
_PATTERN = f"hits-*{_ENDING}"
_DIRECTORY_MODE = 0o2770
_FILE_MODE = 0o640
_BYTES_FIELDS = ("hit_id", "email_id", "copy")
_FIELDS = frozenset(Hit._fields)


class JournalFault(Exception):
    """The journal cannot take hits now; the message says why."""


class Journal:
    """The writing side; `space` keeps a reserve on its file system."""

    def __init__(self, directory: Path, space: FreeSpace, now: Callable[[], Instant]) -> None:
        self.directory = directory
        self._space = space
        self._now = now
        self._descriptor = -1
        self._path = Path()
        self._end = 0

    def append(self, hits: Sequence[Hit]) -> None:
        """Write hits; on return they are on disk.  Raises JournalFault."""
        if not self._space.enough():
            raise JournalFault(
                f"{self.directory}: fewer than {self._space.reserve_bytes} bytes are free"
            )
        data = b"".join(map(encode, hits))
        try:
            self._write(data)
            if os.fstat(self._descriptor).st_nlink == 0:
                # Somebody has deleted the file: what is written into it nobody will find.
                self.close_file()
                self._write(data)
        except OSError as error:
            self._abandon()
            raise JournalFault(f"{self.directory}: {error.strerror}") from error

    def close_file(self) -> None:
        """End the present file; the next hits begin a new one."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def files(self) -> list[Path]:
        """Return the journal's files, oldest first; none where there is no directory."""
        return journal_files(self.directory)

    def remove(self, path: Path) -> None:
        """Remove a file that is replayed, for good."""
        path.unlink(missing_ok=True)
        with suppress(OSError):
            sync_directory(self.directory)

    def _write(self, data: bytes) -> None:
        if self._descriptor < 0:
            self._begin()
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        os.fdatasync(self._descriptor)
        self._end += len(data)

    def _begin(self) -> None:
        if not self.directory.is_dir():
            self.directory.mkdir()
            self.directory.chmod(_DIRECTORY_MODE)
            sync_directory(self.directory.parent)
        name = f"hits-{self._now():020d}-{os.urandom(4).hex()}{_ENDING}"
        self._path, self._end = self.directory / name, 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._descriptor = os.open(self._path, flags, _FILE_MODE)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sync_directory(self.directory)

    def _abandon(self) -> None:
        """Take back what a fault has left half-written, and end the file."""
        if self._descriptor >= 0:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._end)
            self.close_file()


def journal_files(directory: Path) -> list[Path]:
    """Return the files of a journal, oldest first; none where there is no directory."""
    return sorted(directory.glob(_PATTERN))


def waiting_bytes(paths: Iterable[Path]) -> int:
    """Return how large these files are; one that was taken into the store meanwhile has nothing."""
    found = 0
    for path in paths:
        with suppress(FileNotFoundError):
            found += path.stat().st_size
    return found


def first_instant(path: Path) -> Instant | None:
    """Return when the first hit of a file was received, None where that cannot be read."""
    try:
        with path.open("rb") as file:
            hit = decode(file.readline())
    except OSError:
        return None
    return hit.received_at if hit else None


@dataclass(frozen=True)
class Page:
    """Some records of a file: their hits, how many lines hold none, and where the last one ends.

    `last` is True where nothing follows but, perhaps, a record that was torn.
    """

    hits: list[Hit]
    unreadable: int
    end: int
    last: bool


def read_page(path: Path, offset: int, limit: int) -> Page | None:
    """Read at most `limit` records from `offset` on; None while somebody writes the file.

    Raises OSError.
    """
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        file.seek(offset)
        return _read(file, offset, limit)


def encode(hit: Hit) -> bytes:
    """Write a hit as one line of a journal.

    Raises UnicodeEncodeError for text that the store could not hold either.
    """
    values: dict[str, Any] = hit._asdict() | {
        name: getattr(hit, name).hex() for name in _BYTES_FIELDS
    }
    record = json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    return b"%08x %s\n" % (zlib.crc32(record), record)


def decode(text_line: bytes) -> Hit | None:
    """Read one line of a journal; None where it is not what was written."""
    checksum, _, record = text_line.rstrip(b"\n").partition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(record):
            return None
        values = {name: value for name, value in json.loads(record).items() if name in _FIELDS}
        values |= {name: bytes.fromhex(values[name]) for name in _BYTES_FIELDS}
        return Hit(**values | {"kind": Kind(values["kind"])})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _read(file: BinaryIO, offset: int, limit: int) -> Page:
    hits, unreadable, end = list[Hit](), 0, offset
    for _ in range(limit):
        text_line = file.readline()
        if not text_line.endswith(b"\n"):
            return Page(hits, unreadable, end, last=True)
        end += len(text_line)
        hit = decode(text_line)
        if hit is None:
            unreadable += 1
        else:
            hits.append(hit)
    return Page(hits, unreadable, end, last=False)
