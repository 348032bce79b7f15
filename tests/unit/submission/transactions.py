"""A milter's world in a directory, transactions in it, and what is asked of them.

Everything is real but the clock: store, keys, domains, recorder, instrumenting.
"""

import dataclasses
import re
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from openclick.keys import KeyDirectory, rotate_keys
from openclick.messages import Message, Outcome
from openclick.settings import Config, MilterSettings
from openclick.store import Store, open_store
from openclick_milter.controls import Removal
from openclick_milter.counters import Counters
from openclick_milter.directory import DomainDirectory
from openclick_milter.housekeeping import Housekeeping
from openclick_milter.recorder import MessageRecorder
from openclick_milter.rows import MessageRows
from openclick_milter.submission import Edits, Next, Submission, World
from openclick_milter.trust import Client
from support.clock import Clock
from unit.samples import NOW, a_domain

QUEUE_ID = "4Xk2Q1z0"
APP = Client("203.0.113.9", login="shop")
LOCAL = Client("127.0.0.1")
STRANGER = Client("203.0.113.66")
HTML = b'<html><body><p><a href="https://shop.kontor.example/boots?size=42">Boots</a></p></body></html>\r\n'
FIELDS = [
    ("From", "Kontor Nord <news@kontor.example>"),
    ("To", "anna@reader.example"),
    ("Subject", "=?utf-8?q?Gr=C3=BC=C3=9Fe?="),
    ("Message-ID", "<1@kontor.example>"),
    ("MIME-Version", "1.0"),
    ("Content-Type", "text/html; charset=utf-8"),
    ("X-Order", "17"),
]
CONTROL = ("X-Anypost-Track-Opens", "no")


class Sent(NamedTuple):
    """What Postfix was told at the end of a message; `body` is the new one, None where it stays."""

    removals: tuple[Removal, ...] = ()
    body: bytes | None = None


def sent(edits: Edits) -> Sent:
    """Take the pieces of the new body as Postfix does."""
    return Sent(edits.removals, None if edits.body is None else b"".join(edits.body))


class Milter:
    """A milter's world in a directory, and transactions in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store: Store = open_store(f"sqlite:{directory}")
        self.key_directory = directory / "keys"
        self.key_directory.mkdir()
        rotate_keys(str(self.key_directory))
        self.add_domain()
        self.clock = Clock()
        self.counters = Counters()
        housekeeping = Housekeeping(self.counters, lambda: 10_000, lambda: NOW, NOW)
        self.world = World(
            config=Config(),
            keys=KeyDirectory(str(self.key_directory), self.clock.monotonic),
            domains=DomainDirectory(self.store),
            recorder=MessageRecorder(self.store, housekeeping, time.monotonic),
            rows=MessageRows(self.store),
            counters=self.counters,
            now=lambda: NOW,
            monotonic=self.clock.monotonic,
        )
        self._running = False

    def add_domain(self, *, verified: bool = True, **fields: Any) -> None:
        """Add a sending domain, which is served over https unless `fields` say otherwise."""
        domain = a_domain(**{"https": True, **fields})
        with closing(self.store.registry()) as registry:
            registry.domains.add(domain)
            if verified:
                registry.domains.record_verified(domain.name, NOW, https=domain.https)

    def configure(self, **milter: Any) -> None:
        """Change settings of [milter]."""
        self.change(config=Config(milter=MilterSettings(**milter)))

    def change(self, **parts: Any) -> None:
        """Replace parts of the world."""
        self.world = dataclasses.replace(self.world, **parts)

    def start(self) -> None:
        """Start the recorder."""
        self.world.recorder.start()
        self._running = True

    def stop(self) -> None:
        """Write what is queued, close what was opened."""
        if self._running:
            self.world.recorder.stop()
            self._running = False
        self.world.domains._forget()
        self.world.rows._close()

    def submission(self, fields: list[tuple[str, str]], client: Client = APP) -> Submission:
        """Return a transaction up to its header fields."""
        made = Submission(self.world, client, "bounces@kontor.example", "QQ314159")
        made.recipients.append("anna@reader.example")
        made.fields += fields
        return made

    def send(
        self, fields: list[tuple[str, str]] = FIELDS, body: bytes = HTML, client: Client = APP
    ) -> tuple[Next | None, Sent]:
        """Send a message as callbacks do; None where it was let go at MAIL."""
        submission = self.submission(fields, client)
        if submission.is_foreign():
            return None, Sent()
        decided = submission.end_of_headers(QUEUE_ID)
        if decided is Next.ACCEPT:
            return decided, Sent()
        if decided is Next.READ_BODY:
            for start in range(0, len(body), 64):
                submission.add_chunk(body[start : start + 64])
        return decided, sent(submission.end_of_message(QUEUE_ID))

    def rows(self) -> list[Message]:
        """Return every row of the queue id, once all are written."""
        self.stop()
        with closing(self.store.message_reader()) as reader:
            return reader.many_by_queue_id(QUEUE_ID)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the log lines of the submission."""
    return [r.getMessage() for r in caplog.records if r.name == "openclick_milter.submission"]


def untouched(milter: Milter, reason: str, **send: Any) -> None:
    """Check that a message goes out as it came, with a row that says why."""
    _, edits = milter.send(**send)

    assert edits.body is None
    (row,) = milter.rows()
    assert (Outcome.UNTOUCHED, ()) == (row.outcome, row.links)
    assert re.fullmatch(reason, row.reason)
