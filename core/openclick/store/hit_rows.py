"""How a hit stands in a row of hits.db, and what is read of a row that is not as it was written.

Called by `hits`.  Promises: a damaged row costs itself and not its neighbours; one whose headers or
user agent alone are damaged still gives its hit, without the headers, and with U+FFFD for what of
the user agent is no text.  Rules ask for these two and nothing else hangs on them; whatever else is
damaged would make another hit of it, so there none is given.

Limits: a damaged page of the file is a StoreCorrupt, and `salvage`'s business.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openclick.hits import Hit
from openclick.ids import COPY_BYTES, EMAIL_ID_BYTES, HIT_ID_BYTES
from openclick.instants import SECOND
from openclick.store.database import is_of_a_text
from openclick.tokens import Kind

COLUMNS = ", ".join(Hit._fields)
"""The columns of a hit, in the order of its fields."""
_NUMBERS = ("received_at", "link_index")
# A text that is no UTF-8 would end the reading of its neighbours too; its bytes do not.
_AS_IT_LIES = ", ".join(
    f"CASE typeof({name}) WHEN 'integer' THEN {name} END"
    if name in _NUMBERS
    else f"CAST({name} AS BLOB)"
    for name in Hit._fields
)
_END_OF_TIME = 253_402_300_800 * SECOND  # the year 10000, of which no date can be written
_MAX_LINK_INDEX = 0xFFFF

# For an object of strings, which is all that stands there: json.dumps and JSONEncoder.encode set up
# an encoder for each hit, which takes longer than all the rest of its row.
_quoted = json.encoder.encode_basestring_ascii


@dataclass(frozen=True)
class HitPage:
    """Some rows: (place, hit) of each that gives one, and the places of those that give none.

    `damaged` are the places of hits that lack their headers, or some of their user agent.
    """

    hits: list[tuple[int, Hit]]
    unreadable: Sequence[int] = ()
    damaged: Sequence[int] = ()

    @property
    def rows(self) -> int:
        """How many rows there were."""
        return len(self.hits) + len(self.unreadable)

    @property
    def last(self) -> int:
        """The place of the last row, 0 for none."""
        return max([place for place, _ in self.hits[-1:]] + [*self.unreadable[-1:]], default=0)

    def before(self, end: int) -> HitPage:
        """Return the rows before a place."""
        return HitPage(
            [(place, hit) for place, hit in self.hits if place < end],
            [place for place in self.unreadable if place < end],
            [place for place in self.damaged if place < end],
        )


def to_row(hit: Hit) -> tuple[object, ...]:
    """Return the values of `COLUMNS`."""
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


def read_page(connection: sqlite3.Connection, position: int, up_to: int, limit: int) -> HitPage:
    """Read at most `limit` rows after `position`, not beyond `up_to`.

    Raises sqlite3.Error where the file cannot be read.
    """
    try:
        rows = _select(connection, COLUMNS, position, up_to, limit)
        return HitPage([(row[0], _as_written(row[1:])) for row in rows])
    except (ValueError, TypeError):
        pass
    except sqlite3.OperationalError as error:
        if not is_of_a_text(error):
            raise
    return _read_damaged(connection, position, up_to, limit)


def _select(
    connection: sqlite3.Connection, columns: str, position: int, up_to: int, limit: int
) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = connection.execute(
        f"SELECT position, {columns} FROM hits "  # noqa: S608 - constants only
        "WHERE position > ? AND position <= ? ORDER BY position LIMIT ?",
        (position, up_to, limit),
    ).fetchall()
    return rows


def _read_damaged(connection: sqlite3.Connection, position: int, up_to: int, limit: int) -> HitPage:
    hits, unreadable, damaged = list[tuple[int, Hit]](), list[int](), list[int]()
    for place, *values in _select(connection, _AS_IT_LIES, position, up_to, limit):
        try:
            hit, is_whole = _as_it_lies(values)
        except (ValueError, TypeError, AttributeError):
            unreadable.append(place)
            continue
        hits.append((place, hit))
        if not is_whole:
            damaged.append(place)
    return HitPage(hits, unreadable, damaged)


def _as_written(values: Sequence[Any]) -> Hit:
    """Return the hit of a sound row.  Raises ValueError or TypeError for any other."""
    hit = Hit(*values)
    return _sound(hit._replace(kind=Kind(hit.kind), headers=_headers(values[-1])))


def _as_it_lies(values: Sequence[Any]) -> tuple[Hit, bool]:
    """Return a hit of what can be read of a row, and whether that is all of it.

    Raises ValueError, TypeError or AttributeError where too little can.
    """
    raw = Hit(*values)
    headers, is_whole = dict[str, str](), True
    try:
        headers = _headers(values[-1].decode())
        agent = values[-2].decode()
    except (ValueError, TypeError):
        agent, is_whole = values[-2].decode(errors="replace"), False
    texts = {name: getattr(raw, name).decode() for name in ("destination", "tracking_domain", "ip")}
    kind = Kind(values[2].decode())
    return _sound(raw._replace(kind=kind, user_agent=agent, headers=headers, **texts)), is_whole


def _sound(hit: Hit) -> Hit:
    """Return a hit that can be one of ours.  Raises ValueError for any other."""
    texts = (hit.destination, hit.tracking_domain, hit.ip, hit.user_agent)
    if (
        all(type(text) is str for text in texts)
        and type(hit.received_at) is int
        and 0 <= hit.received_at < _END_OF_TIME
        and type(hit.link_index) is int
        and 0 <= hit.link_index <= _MAX_LINK_INDEX
        and _has_bytes(hit.hit_id, HIT_ID_BYTES)
        and _has_bytes(hit.email_id, EMAIL_ID_BYTES)
        and _has_bytes(hit.copy, COPY_BYTES)
    ):
        return hit
    raise ValueError("no hit of ours")


def _has_bytes(value: object, count: int) -> bool:
    return type(value) is bytes and len(value) == count


def _headers(text: str) -> dict[str, str]:
    """Read the fields.  Raises ValueError or TypeError where the text is not what was written."""
    found = json.loads(text)
    if type(found) is not dict or not all(type(value) is str for value in found.values()):
        raise ValueError("no object of strings")
    return found


def _json_object(texts: dict[str, str]) -> str:
    members = [f"{_quoted(name)}:{_quoted(text)}" for name, text in texts.items()]
    return "{" + ",".join(members) + "}"
