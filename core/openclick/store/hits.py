"""hits.db: written by the sidecar's recorder before it answers, read by the judge.

`position` grows for ever (AUTOINCREMENT), `file_id` names the file, so that the judge's cursor
notices another file in its place.  Promise: a hit that was appended is on disk, in the file that
the path names.  Rows are removed by retention alone, and never beyond the judge's cursor.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from openclick.hits import Click, Hit
from openclick.instants import Instant
from openclick.store.database import Database, open_reading, open_writing
from openclick.store.events import JudgeCursor
from openclick.store.hit_clicks import (
    Span,
    clicks_after,
    displaced_clicks,
    forget_runs,
    note_run,
)
from openclick.store.hit_rows import COLUMNS, HitPage, read_page, to_row

FILE_NAME = "hits.db"
_SCHEMA = "hits"
_ROW = f"({', '.join('?' * len(COLUMNS.split(',')))})"
# What stands there, were it damaged: it names the row.
_NAME = "coalesce(CAST(hit_id AS BLOB), x'')"
_LARGEST_INSERT = 256
# A hit waits for this: better the fallback than a reader who waits for his page.
_BUSY_SECONDS = 0.25
# No journal's name.
_PROBE = "probe"


class HitLog:
    """The writing side: one connection, used by the recorder's thread alone.

    Beside StoreFault, every method that writes raises StoreMoved where the file was deleted or
    replaced, before or after its commit; what it wrote is then to be written again.
    """

    def __init__(self, directory: Path) -> None:
        self._database = open_writing(directory / FILE_NAME, _SCHEMA, busy_seconds=_BUSY_SECONDS)

    def append(self, hits: Sequence[Hit]) -> None:
        """Write hits in one transaction; on return they are on disk.

        Raises StoreFault, and then none of them is written.
        """
        self._database.require_place()
        with self._database.transaction() as connection:
            _insert(connection, hits)
        self._database.require_place()

    def append_replayed(self, hits: Sequence[Hit], journal: str, offset: int) -> None:
        """Write hits of a journal, and in the same transaction how far it has been read."""
        self._database.require_place()
        with self._database.transaction() as connection:
            last = _insert(connection, hits)
            if hits:
                note_run(connection, hits, last)
            connection.execute("INSERT OR REPLACE INTO replayed VALUES (?, ?)", (journal, offset))
        self._database.require_place()

    def replayed(self, journal: str) -> int:
        """Return the offset up to which a journal's hits are in this file, 0 for none."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT offset FROM replayed WHERE journal = ?", (journal,)
            ).fetchone()
        return int(row["offset"]) if row else 0

    def forget_journal(self, journal: str) -> None:
        """Remove what was noted of a journal, once its file is gone."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM replayed WHERE journal = ?", (journal,))

    def probe(self) -> None:
        """Find out, by a small commit and without waiting for a lock, whether hits can be written.

        Raises StoreFault.
        """
        self._database.require_place()
        with self._database.reading() as connection:
            connection.execute("PRAGMA busy_timeout = 0")
            try:
                with self._database.transaction():
                    connection.execute("INSERT OR REPLACE INTO replayed VALUES (?, 0)", (_PROBE,))
            finally:
                connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000:.0f}")

    def sweep(self, before: Instant, cursor: JudgeCursor, limit: int) -> int:
        """Remove hits received before an instant; return how many.

        Looks at the oldest `limit` rows only.  Never removes the row at the judge's cursor nor one
        beyond it, and none at all where the cursor is not of this file: by that row the judge knows
        that it may go on from there.
        """
        self._database.require_place()
        with self._database.transaction() as connection:
            if not _holds(connection, cursor):
                return 0
            removed = connection.execute(
                "DELETE FROM hits WHERE received_at < ? AND position IN "
                "(SELECT position FROM hits WHERE position < ? ORDER BY position LIMIT ?)",
                (before, cursor.position, limit),
            ).rowcount
            forget_runs(connection)
            return removed

    def spare_bytes(self) -> int:
        """Return how much room for hits there is inside the file, left by removed ones."""
        with self._database.reading() as connection:
            pages = connection.execute("PRAGMA freelist_count").fetchone()[0]
            size = connection.execute("PRAGMA page_size").fetchone()[0]
        return int(pages * size)

    def abandon(self) -> Database | None:
        """Give the connection away, since its file is no longer in its place; see `salvage`.

        None where only the write-ahead log was deleted: what it held is in the file then.
        """
        if not self._database.is_displaced:
            self._database.close()
            return None
        return self._database

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class HitReader:
    """The judge's side."""

    def __init__(self, directory: Path) -> None:
        self._database = open_reading(directory / FILE_NAME, _SCHEMA)

    @property
    def moved(self) -> bool:
        """Whether another file stands in this one's place by now: open that one, and read on."""
        return self._database.moved

    def file_id(self) -> str:
        """Return the random name of this very file."""
        with self._database.reading() as connection:
            return read_file_id(connection)

    def last_position(self) -> int:
        """Return the position of the newest hit, 0 where there is none."""
        return self.newest().position

    def newest(self) -> JudgeCursor:
        """Return the place of the newest hit, position 0 where there is none."""
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT position, {_NAME} FROM hits ORDER BY position DESC LIMIT 1"  # noqa: S608
            ).fetchone()
            file_id = read_file_id(connection)
        return JudgeCursor(file_id, *row) if row else JudgeCursor(file_id, 0)

    def place(self, position: int) -> JudgeCursor:
        """Return the place of the hit at `position`, whether or not it can be read."""
        with self._database.reading() as connection:
            return JudgeCursor(
                read_file_id(connection), position, _name_at(connection, position) or b""
            )

    def holds(self, cursor: JudgeCursor) -> bool:
        """Tell whether a cursor is of this file, and the hit at its position still the same."""
        return holds_cursor(self._database, cursor)

    def page_after(self, position: int, up_to: int, limit: int) -> HitPage:
        """Return at most `limit` rows after `position`, not beyond `up_to`."""
        return read_hits(self._database, position, up_to, limit)

    def many_after(self, position: int, up_to: int, limit: int) -> list[tuple[int, Hit]]:
        """Return (position, hit) of those rows that can be read."""
        return self.page_after(position, up_to, limit).hits

    def clicks_after(self, position: int, span: Span, limit: int) -> list[Click]:
        """Return the clicks after a place, oldest first, as far on as hits lie in the span.

        The first hit outside of it ends the search, as does the `limit`th place that was looked at;
        what was taken back from a journal is stepped over.
        """
        with self._database.reading() as connection:
            return clicks_after(connection, position, span, limit)

    def displaced_clicks(self, position: int, spans: Sequence[Span], limit: int) -> list[Click]:
        """Return the clicks after a place that a journal gave back, and that are near `spans`.

        The spans are in order and apart from each other.
        """
        with self._database.reading() as connection:
            return displaced_clicks(connection, position, spans, limit)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def read_file_id(connection: sqlite3.Connection) -> str:
    """Return the random name of a hits.db."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'file_id'").fetchone()
    return str(row["value"])


def read_hits(database: Database, position: int, up_to: int, limit: int) -> HitPage:
    """Read at most `limit` rows after `position`, not beyond `up_to`."""
    with database.reading() as connection:
        return read_page(connection, position, up_to, limit)


def newest_position(database: Database) -> int:
    """Return the highest position that a hit ever had, 0 where there was none.

    Taken from SQLite's own note of it, since the rows themselves may be damaged.
    """
    with database.reading() as connection:
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'hits'").fetchone()
    return int(row["seq"]) if row else 0


def holds_cursor(database: Database, cursor: JudgeCursor) -> bool:
    """Tell whether a cursor is of this file, and the hit at its position still the same."""
    with database.reading() as connection:
        return _holds(connection, cursor)


def _holds(connection: sqlite3.Connection, cursor: JudgeCursor) -> bool:
    if read_file_id(connection) != cursor.file_id:
        return False
    return _name_at(connection, cursor.position) == cursor.hit_id


def _name_at(connection: sqlite3.Connection, position: int) -> bytes | None:
    row = connection.execute(
        f"SELECT {_NAME} FROM hits WHERE position = ?",  # noqa: S608 - constants only
        (position,),
    ).fetchone()
    return row[0] if row else None


def _insert(connection: sqlite3.Connection, hits: Sequence[Hit]) -> int:
    """Write hits in a row; return the place of the last, 0 for none."""
    last = 0
    rest = [to_row(hit) for hit in hits]
    while rest:
        # One statement a chunk: executemany takes and gives the interpreter lock for every row.
        # Powers of two keep the prepared statements few.
        size = min(_LARGEST_INSERT, 1 << len(rest).bit_length() - 1)
        chunk, rest = rest[:size], rest[size:]
        values = ", ".join([_ROW] * size)
        cursor = connection.execute(
            f"INSERT INTO hits ({COLUMNS}) VALUES {values}",  # noqa: S608 - constants
            [value for row in chunk for value in row],
        )
        last = cursor.lastrowid or 0
    return last
