"""hits.db: written by the sidecar's recorder before it answers, read by the judge.

`position` grows for ever (AUTOINCREMENT), `file_id` names the file, so that the judge's cursor
notices another file in its place.  Promise: a hit that was appended is on disk, in the file that
the path names.  Rows are removed by retention alone, and never beyond the judge's cursor.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from openclick.hits import Click, Hit
from openclick.instants import Instant
from openclick.store.database import Database, open_reading, open_writing
from openclick.store.events import JudgeCursor
from openclick.tokens import Kind

FILE_NAME = "hits.db"
_SCHEMA = "hits"
_COLUMNS = (
    "hit_id, received_at, kind, email_id, copy, link_index, destination, tracking_domain, ip, "
    "user_agent, headers"
)
_OF_A_CLICK = "received_at, kind, email_id, copy, link_index, ip"
_ROW = f"({', '.join('?' * len(_COLUMNS.split(',')))})"
_LARGEST_INSERT = 256
# A hit waits for this: better the fallback than a reader who waits for his page.
_BUSY_SECONDS = 0.25
# For an object of strings, which is all that stands there: json.dumps and JSONEncoder.encode set up
# an encoder for each hit, which takes longer than all the rest of its row.
_quoted = json.encoder.encode_basestring_ascii
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
            _insert(connection, hits)
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
            return connection.execute(
                "DELETE FROM hits WHERE received_at < ? AND position IN "
                "(SELECT position FROM hits WHERE position < ? ORDER BY position LIMIT ?)",
                (before, cursor.position, limit),
            ).rowcount

    def spare_bytes(self) -> int:
        """Return how much room for hits there is inside the file, left by removed ones."""
        return self._database.spare_bytes()

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
                "SELECT position, hit_id FROM hits ORDER BY position DESC LIMIT 1"
            ).fetchone()
            file_id = read_file_id(connection)
        return JudgeCursor(file_id, *row) if row else JudgeCursor(file_id, 0)

    def holds(self, cursor: JudgeCursor) -> bool:
        """Tell whether a cursor is of this file, and the hit at its position still the same."""
        return holds_cursor(self._database, cursor)

    def many_after(self, position: int, up_to: int, limit: int) -> list[tuple[int, Hit]]:
        """Return (position, hit) of at most `limit` hits after `position`, not beyond `up_to`."""
        return read_hits(self._database, position, up_to, limit)

    def clicks_before(
        self, position: int, since: Instant, until: Instant, limit: int
    ) -> list[Click]:
        """Return the clicks before a place, newest first, as far back as hits lie in the span.

        The first hit outside of it ends the search, as does the `limit`th that was looked at.
        """
        return self._clicks("position < ? ORDER BY position DESC", position, since, until, limit)

    def clicks_after(
        self, position: int, since: Instant, until: Instant, limit: int
    ) -> list[Click]:
        """Return the clicks after a place, oldest first, as far on as hits lie in the span."""
        return self._clicks("position > ? ORDER BY position", position, since, until, limit)

    def _clicks(
        self, where: str, position: int, since: Instant, until: Instant, limit: int
    ) -> list[Click]:
        """Read row by row: SQLite fetches no more than is asked for."""
        clicks = []
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT position, {_OF_A_CLICK} FROM hits WHERE {where} LIMIT ?",  # noqa: S608
                (position, limit),
            )
            for place, received_at, kind, *rest in rows:
                if not since <= received_at <= until:
                    break
                if kind == Kind.CLICK.value:
                    clicks.append(Click(place, received_at, *rest))
            rows.close()  # an unfinished read would keep the file from being checkpointed
        return clicks

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def read_file_id(connection: sqlite3.Connection) -> str:
    """Return the random name of a hits.db."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'file_id'").fetchone()
    return str(row["value"])


def read_hits(database: Database, position: int, up_to: int, limit: int) -> list[tuple[int, Hit]]:
    """Return (position, hit) of at most `limit` hits after `position`, not beyond `up_to`."""
    with database.reading() as connection:
        rows = connection.execute(
            f"SELECT position, {_COLUMNS} FROM hits "  # noqa: S608 - constants only
            "WHERE position > ? AND position <= ? ORDER BY position LIMIT ?",
            (position, up_to, limit),
        ).fetchall()
    return [(row["position"], _from_row(row)) for row in rows]


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
    row = connection.execute(
        "SELECT hit_id FROM hits WHERE position = ?", (cursor.position,)
    ).fetchone()
    return row is not None and row["hit_id"] == cursor.hit_id


def _insert(connection: sqlite3.Connection, hits: Sequence[Hit]) -> None:
    rest = [_to_row(hit) for hit in hits]
    while rest:
        # One statement a chunk: executemany takes and gives the interpreter lock for every row.
        # Powers of two keep the prepared statements few.
        size = min(_LARGEST_INSERT, 1 << len(rest).bit_length() - 1)
        chunk, rest = rest[:size], rest[size:]
        values = ", ".join([_ROW] * size)
        connection.execute(
            f"INSERT INTO hits ({_COLUMNS}) VALUES {values}",  # noqa: S608 - constants
            [value for row in chunk for value in row],
        )


def _to_row(hit: Hit) -> tuple[object, ...]:
    return (
        hit.hit_id,
        hit.received_at,
        hit.kind.value,
        hit.email_id,
        hit.copy,
        hit.link_index,
        hit.destination,
        hit.tracking_domain,
        hit.ip,
        hit.user_agent,
        _json_object(hit.headers),
    )


def _json_object(texts: dict[str, str]) -> str:
    members = [f"{_quoted(name)}:{_quoted(text)}" for name, text in texts.items()]
    return "{" + ",".join(members) + "}"


def _from_row(row: sqlite3.Row) -> Hit:
    return Hit(
        hit_id=row["hit_id"],
        received_at=row["received_at"],
        kind=Kind(row["kind"]),
        email_id=row["email_id"],
        copy=row["copy"],
        link_index=row["link_index"],
        destination=row["destination"],
        tracking_domain=row["tracking_domain"],
        ip=row["ip"],
        user_agent=row["user_agent"],
        headers=json.loads(row["headers"]),
    )
