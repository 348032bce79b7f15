"""messages.db: written by the milter, read by the judge and the command."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openclick.ids import first_email_id
from openclick.instants import Instant
from openclick.messages import Labels, LinkRecord, Message, Outcome
from openclick.store.database import BUSY_SECONDS, Database, open_reading, open_writing
from openclick.store.faults import UnreadableRow

FILE_NAME = "messages.db"
_SCHEMA = "messages"
CONNECTED_NAME = "connected.at"
"""The heartbeat's counter that holds an instant: when Postfix was last here."""
_COLUMNS = (
    "email_id, copy, created_at, outcome, reason, queue_id, message_id, envelope_id, sender, "
    "header_from, recipients, subject, sending_domain, tracking_domain, opens, opens_reason, "
    "clicks, clicks_reason, tags, topic, campaign, headers, links, image_reason, first_queue_id, "
    "login"
)
_CHECKPOINT_PAGES = 1000  # SQLite's own default
_UPSERT = (
    f"INSERT OR REPLACE INTO messages ({_COLUMNS}) "  # noqa: S608 - constants only
    f"VALUES ({', '.join('?' * len(_COLUMNS.split(',')))})"
)


@dataclass(frozen=True)
class Heartbeat:
    """What the running milter says of itself every ten seconds; `counters` since `started_at`.

    A counter whose name has a dot is no plain count: see `work_times` and CONNECTED_NAME.
    """

    pid: int
    version: str
    started_at: Instant
    beat_at: Instant
    counters: dict[str, int]

    @property
    def connected_at(self) -> Instant | None:
        """When Postfix last opened a connection; None where it has not since the start."""
        return self.counters.get(CONNECTED_NAME)


class MessageLog:
    """The writing side: one connection, used by the milter's recorder thread alone."""

    def __init__(self, directory: Path) -> None:
        self._database = open_writing(directory / FILE_NAME, _SCHEMA)
        self._checkpoints = True

    def record(self, messages: Sequence[Message]) -> None:
        """Write rows in one transaction; on return they are on disk.

        A row with the same email_id and copy is replaced.  Raises StoreFault, and then none of
        them is written; StoreMoved where the file was deleted or replaced, before the commit or
        after it, and then they are to be written again.
        """
        self._database.require_place()
        with self._database.transaction() as connection:
            connection.executemany(_UPSERT, [_to_row(message) for message in messages])
        self._database.require_place()

    def beat(self, heartbeat: Heartbeat) -> None:
        """Write the heartbeat row anew.  Raises StoreFault."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO heartbeat (name, pid, version, started_at, beat_at, "
                "counters) VALUES ('milter', ?, ?, ?, ?, ?)",
                (
                    heartbeat.pid,
                    heartbeat.version,
                    heartbeat.started_at,
                    heartbeat.beat_at,
                    _json(heartbeat.counters),
                ),
            )

    def sweep(self, before: Instant, limit: int) -> int:
        """Remove at most `limit` rows made before an instant; return how many there were.

        The key begins with an instant (an email_id is a UUIDv7), so no further index is needed.
        A copy that waited between two passes has an older one than its row: such a row stays.
        Raises StoreFault.
        """
        with self._database.transaction() as connection:
            return connection.execute(
                "DELETE FROM messages WHERE (email_id, copy) IN "
                "(SELECT email_id, copy FROM messages WHERE email_id < ? AND created_at < ? "
                "ORDER BY email_id LIMIT ?)",
                (first_email_id(before), before, limit),
            ).rowcount

    def checkpoint_itself(self, wanted: bool) -> None:
        """Make checkpoints, or leave them to a successor: two processes must not race for them."""
        if wanted == self._checkpoints:
            return
        pages = _CHECKPOINT_PAGES if wanted else 0
        with self._database.reading() as connection:
            connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")
        self._checkpoints = wanted

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class MessageReader:
    """The reading side."""

    def __init__(self, directory: Path, busy_seconds: float = BUSY_SECONDS) -> None:
        self._database: Database = open_reading(
            directory / FILE_NAME, _SCHEMA, busy_seconds=busy_seconds
        )

    @property
    def moved(self) -> bool:
        """Whether another file stands in this one's place by now: open that one, and read on."""
        return self._database.moved

    def maybe_message(self, email_id: bytes, copy: bytes) -> Message | None:
        """Return the row of one copy, or None where a successful read finds none.

        Raises UnreadableRow where the row is damaged and the file is not.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM messages WHERE email_id = ? AND copy = ?",  # noqa: S608
                (email_id, copy),
            ).fetchone()
        return self._message(row) if row else None

    def maybe_heartbeat(self) -> Heartbeat | None:
        """Return the milter's last heartbeat, None where it never ran on this store."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM heartbeat WHERE name = 'milter'").fetchone()
        if row is None:
            return None
        return Heartbeat(
            pid=row["pid"],
            version=row["version"],
            started_at=row["started_at"],
            beat_at=row["beat_at"],
            counters=json.loads(row["counters"]),
        )

    def many_by_queue_id(self, queue_id: str) -> list[Message]:
        """Return the rows that Postfix's `queue_id` names, oldest first.

        The id of either pass counts, where the per-recipient split makes two.
        """
        return self._many("queue_id = ? OR first_queue_id = ?", queue_id, queue_id)

    def many_by_email_id(self, email_id: bytes) -> list[Message]:
        """Return the rows of every copy of one message, oldest first."""
        return self._many("email_id = ?", email_id)

    def many_by_message_id(self, message_id: str) -> list[Message]:
        """Return the rows whose Message-ID field is `message_id` as it stands, oldest first."""
        return self._many("message_id = ?", message_id)

    def _many(self, condition: str, *values: str | bytes) -> list[Message]:
        """Return the rows that meet `condition`, which is a constant of this class."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM messages WHERE {condition} "  # noqa: S608
                "ORDER BY created_at, email_id, copy",
                values,
            ).fetchall()
        return [self._message(row) for row in rows]

    def _message(self, row: sqlite3.Row) -> Message:
        try:
            return _sound(_from_row(row))
        except (ValueError, TypeError) as error:
            raise UnreadableRow(
                f"{self._database.path}: a message row is not what was written: {error}"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _to_row(message: Message) -> tuple[object, ...]:
    return (
        message.email_id,
        message.copy,
        message.created_at,
        message.outcome.value,
        message.reason,
        message.queue_id,
        message.message_id,
        message.envelope_id,
        message.sender,
        message.header_from,
        _json(message.recipients),
        message.subject,
        message.sending_domain,
        message.tracking_domain,
        message.opens,
        message.opens_reason,
        message.clicks,
        message.clicks_reason,
        _json(message.labels.tags),
        message.labels.topic,
        message.labels.campaign,
        _json(message.headers),
        _json(
            [(link.index, link.destination, link.tracked, link.reason) for link in message.links]
        ),
        message.image_reason,
        message.first_queue_id,
        message.login,
    )


def _from_row(row: sqlite3.Row) -> Message:
    return Message(
        email_id=row["email_id"],
        copy=row["copy"],
        created_at=row["created_at"],
        outcome=Outcome(row["outcome"]),
        reason=row["reason"],
        queue_id=row["queue_id"],
        message_id=row["message_id"],
        envelope_id=row["envelope_id"],
        sender=row["sender"],
        header_from=row["header_from"],
        recipients=tuple(json.loads(row["recipients"])),
        subject=row["subject"],
        sending_domain=row["sending_domain"],
        tracking_domain=row["tracking_domain"],
        opens=bool(row["opens"]),
        opens_reason=row["opens_reason"],
        clicks=bool(row["clicks"]),
        clicks_reason=row["clicks_reason"],
        labels=Labels(tuple(json.loads(row["tags"])), row["topic"], row["campaign"]),
        headers=json.loads(row["headers"]),
        links=tuple(LinkRecord(*link) for link in json.loads(row["links"])),
        image_reason=row["image_reason"],
        first_queue_id=row["first_queue_id"],
        login=row["login"],
    )


def _sound(message: Message) -> Message:
    """Return a message whose fields an event can carry.  Raises ValueError for any other."""
    texts: list[object] = [
        message.sender,
        message.sending_domain,
        *message.recipients,
        *message.labels.tags,
    ]
    texts += message.headers.values() if isinstance(message.headers, dict) else [None]
    maybe_texts = (
        message.message_id,
        message.subject,
        message.labels.topic,
        message.labels.campaign,
    )
    if all(isinstance(text, str) for text in texts) and all(
        text is None or isinstance(text, str) for text in maybe_texts
    ):
        return message
    raise ValueError("a text is none")


# Made once: json.dumps makes an encoder for every call that names separators.
_json = json.JSONEncoder(separators=(",", ":")).encode
