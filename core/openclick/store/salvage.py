"""Sets a corrupt file aside, and saves hits from a hits.db that is no longer in its place.

A hits.db leaves its place in two ways: it was found corrupt and set aside, or somebody deleted or
replaced it while the recorder had it open.  Its newest hits may not be judged yet, so those that
can still be read are written into the new file, with their hit_ids.

Called by the sidecar's recorder; `set_aside` by the milter's too.  Promises: a corrupt file is
renamed, never deleted; a row that cannot be read costs itself and not its neighbours.  Limits: at
most so many hits as the caller asks for, the newest; what is judged already may be among them,
which the judge knows by its hit_id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path

from openclick.durable import sync_directory
from openclick.hits import Hit
from openclick.instants import SECOND, Instant
from openclick.store.database import Database, connect, place_of
from openclick.store.events import JudgeCursor
from openclick.store.faults import StoreCorrupt, StoreFault
from openclick.store.hits import holds_cursor, newest_position, read_hits

_CHUNK = 100
_MARK = ".corrupt-"
_BUSY_SECONDS = 0.25


def set_aside(fault: StoreCorrupt, now: Instant) -> Path | None:
    """Rename the corrupt file, and return its new name.

    None where another file stands at its path by now: whoever came first has done it.  Raises
    StoreFault.
    """
    path = fault.path
    if place_of(path) != fault.place:
        return None
    try:
        aside = _free_name(path, now)
        # The log first: beside a new file SQLite would delete what it finds of the old one.
        for ending in ("-wal", "-shm", ""):
            source = path.with_name(path.name + ending)
            if source.exists():
                source.rename(aside.with_name(aside.name + ending))
        sync_directory(path.parent)
    except OSError as error:
        raise StoreFault(f"{path}: cannot be set aside: {error.strerror}") from error
    return aside


def many_set_aside(directory: Path) -> list[Path]:
    """Return the files that were set aside in a store's directory, without their companions."""
    return sorted(
        path for path in directory.glob(f"*{_MARK}*") if not path.name.endswith(("-wal", "-shm"))
    )


@dataclass(frozen=True)
class Salvaged:
    """What was saved, oldest first; how many places could not be read, and how many were not.

    `left` counts the places after the judge's cursor that the limit has left out.
    """

    hits: list[Hit]
    unreadable: int
    left: int = 0


class HitWreck:
    """A hits.db that is no longer in its place."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def path(self) -> Path:
        """Where the file stood when it was opened."""
        return self._database.path

    def salvage(self, cursor: JudgeCursor, limit: int) -> Salvaged:
        """Read the newest hits, at most `limit`, from the judge's cursor on where it is of here."""
        try:
            last = newest_position(self._database)
        except StoreFault:
            return Salvaged([], 0)
        first = self._first_unjudged(cursor)
        hits, unreadable = list[Hit](), 0
        for low, high in _chunks(max(first, last - limit), last):
            some, bad = self._read(low, high)
            hits, unreadable = hits + some, unreadable + bad
        return Salvaged(hits, unreadable, max(0, last - limit - first))

    def _first_unjudged(self, cursor: JudgeCursor) -> int:
        try:
            return cursor.position if holds_cursor(self._database, cursor) else 0
        except StoreFault:
            return 0

    def _read(self, low: int, high: int) -> tuple[list[Hit], int]:
        """Read the places from `low` (excluded) to `high`, one by one where they resist."""
        try:
            page = read_hits(self._database, low, high, high - low)
        except StoreFault:
            if high - low == 1:
                return [], 1
            parts = [self._read(place, place + 1) for place in range(low, high)]
            return [hit for some, _ in parts for hit in some], sum(bad for _, bad in parts)
        return [hit for _, hit in page.hits], len(page.unreadable)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def open_wreck(path: Path) -> HitWreck:
    """Open a hits.db that was set aside.  Raises StoreFault."""
    return HitWreck(connect(path, "ro", _BUSY_SECONDS))


def _chunks(first: int, last: int) -> Iterator[tuple[int, int]]:
    for low in range(first, last, _CHUNK):
        yield low, min(low + _CHUNK, last)


def _free_name(path: Path, now: Instant) -> Path:
    moment = datetime.fromtimestamp(now // SECOND, UTC)
    name = f"{path.name}{_MARK}{moment:%Y%m%dT%H%M%SZ}"
    numbered = (path.with_name(f"{name}-{number}") for number in count(2))
    candidates = chain([path.with_name(name)], numbered)
    return next(candidate for candidate in candidates if not candidate.exists())
