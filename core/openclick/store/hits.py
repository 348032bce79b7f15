"""hits.db: written by the sidecar's recorder before it answers, read by the judge.

Append-only.  `position` grows for ever (AUTOINCREMENT), `file_id` names the file, so that the
judge's cursor notices another file in its place.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from openclick.hits import Click, Hit
from openclick.instants import Instant
from openclick.store.database import open_reading, open_writing
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


class HitLog:
    """The writing side: one connection, used by the recorder's thread alone."""

    def __init__(self, directory: Path) -> None:
        self._database = open_writing(directory / FILE_NAME, _SCHEMA, busy_seconds=_BUSY_SECONDS)

    def append(self, hits: Sequence[Hit]) -> None:
        """Write hits in one transaction; on return they are on disk.

        Raises StoreFault, and then none of them is written.
        """
        with self._database.transaction() as connection:
            rest = [_to_row(hit) for hit in hits]
            while rest:
                # One statement a chunk: executemany takes and gives the interpreter lock for every
                # row.  Powers of two keep the prepared statements few.
                size = min(_LARGEST_INSERT, 1 << len(rest).bit_length() - 1)
                chunk, rest = rest[:size], rest[size:]
                values = ", ".join([_ROW] * size)
                connection.execute(
                    f"INSERT INTO hits ({_COLUMNS}) VALUES {values}",  # noqa: S608 - constants
                    [value for row in chunk for value in row],
                )

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class HitReader:
    """The judge's side."""

    def __init__(self, directory: Path) -> None:
        self._database = open_reading(directory / FILE_NAME, _SCHEMA)

    def file_id(self) -> str:
        """Return the random name of this very file."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'file_id'").fetchone()
        return str(row["value"])

    def last_position(self) -> int:
        """Return the position of the newest hit, 0 where there is none."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT max(position) AS last FROM hits").fetchone()
        return int(row["last"] or 0)

    def many_after(self, position: int, up_to: int, limit: int) -> list[tuple[int, Hit]]:
        """Return (position, hit) of at most `limit` hits after `position`, not beyond `up_to`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT position, {_COLUMNS} FROM hits "  # noqa: S608 - constants only
                "WHERE position > ? AND position <= ? ORDER BY position LIMIT ?",
                (position, up_to, limit),
            ).fetchall()
        return [(row["position"], _from_row(row)) for row in rows]

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
        json.dumps(hit.headers, separators=(",", ":")),
    )


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
