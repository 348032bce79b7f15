"""A submission without Postfix and without a store: everything between MAIL and the edits.

Who calls: the hostile worker.  Promises: the milter's own code decides, reads the header fields,
instruments and builds the row; only the domain and the recorder are stand-ins, there is no
messages.db, and the deadline is far away, so that slow is slow and not cut short.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from openclick.domains import SendingDomain
from openclick.keys import KeyDirectory, rotate_keys
from openclick.messages import Message
from openclick.settings import Config, MilterSettings
from openclick.store import open_store
from openclick_milter.counters import Counters
from openclick_milter.directory import DomainDirectory
from openclick_milter.recorder import MessageRecorder, Ticket
from openclick_milter.rows import MessageRows
from openclick_milter.submission import Edits, Submission, World
from openclick_milter.trust import Client

DEADLINE_SECONDS = 20.0
_CHUNK_BYTES = 65_535
_DOMAIN = SendingDomain(
    domain_id="domain_bench",
    name="kontor.example",
    opens_enabled=True,
    clicks_enabled=True,
    subdomain="track",
    created_at=0,
    verified_at=0,
)

Fields = Sequence[tuple[str, str]]


class _OneDomain(DomainDirectory):
    def __init__(self) -> None:
        """Ask nobody."""

    def lookup(self, name: str) -> SendingDomain | None:
        return _DOMAIN if name == _DOMAIN.name else None


class _RecordsNothing(MessageRecorder):
    def __init__(self) -> None:
        """Write nowhere."""

    def record(self, message: Message) -> Ticket:
        ticket = Ticket(message)
        ticket.settle()
        return ticket

    def leave(self, message: Message) -> None:
        """Write it nowhere."""


def make_world(directory: Path) -> World:
    """Return what a submission needs; one key is made in `directory`."""
    rotate_keys(str(directory))
    settings = dataclasses.replace(
        MilterSettings(), deadline_seconds=DEADLINE_SECONDS, max_message_bytes=100_000_000
    )
    return World(
        config=dataclasses.replace(Config(), milter=settings),
        keys=KeyDirectory(str(directory), time.monotonic),
        domains=_OneDomain(),
        recorder=_RecordsNothing(),
        rows=MessageRows(open_store(f"sqlite:{directory}")),
        counters=Counters(),
    )


def submit(world: World, fields: Fields, body: bytes) -> Edits:
    """Hand one message over as Postfix does, and return the edits."""
    submission = Submission(world, Client("127.0.0.1"), "news@kontor.example")
    submission.recipients.append("anna@reader.example")
    submission.fields.extend(fields)
    submission.end_of_headers("bench")
    for start in range(0, len(body), _CHUNK_BYTES):
        submission.add_chunk(body[start : start + _CHUNK_BYTES])
    return submission.end_of_message("bench")
