"""From hits to events in the running sidecar, where the store was locked, damaged or put back."""

import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from openclick.ids import new_email_id
from openclick.instants import SECOND, now
from openclick.keys import load_keys
from openclick.tokens import Kind, Token, tracking_path
from openclick.verdicts import JudgedHit
from support.fixtures import requires_private_postfix
from support.http_client import fetch
from support.lone_sidecar import LoneSidecar
from support.processes import LOOPBACK, wait_until

pytestmark = requires_private_postfix

TRACKING_DOMAIN = "track.kontor.example"
COPY = b"copy"
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html",
    "Accept-Language": "de",
}
HOLD_SECONDS = 3
PATIENCE_SECONDS = 60


class Readers:
    """A sidecar whose store has no message, and people who click."""

    def __init__(self, lone: LoneSidecar) -> None:
        self.lone = lone
        self.store = lone.installation.store
        self.state = lone.installation.state
        self.ring = load_keys(str(self.state / "keys"))

    def click(self, email_id: bytes, link: int) -> None:
        """Follow a link, as a browser."""
        token = Token(email_id, COPY, link, f"https://shop.kontor.example/{link}")
        path = tracking_path(Kind.CLICK, self.ring.seal(Kind.CLICK, TRACKING_DOMAIN, token))
        answer = fetch(f"http://{TRACKING_DOMAIN}{path}", (LOOPBACK, self.lone.port), BROWSER)
        assert answer.status == 302

    def judged(self, email_id: bytes, hits: int) -> list[JudgedHit]:
        """Wait until so many hits of a message are judged, and return them."""

        def look() -> list[JudgedHit]:
            found = self.verdicts(email_id)
            return found if len(found) >= hits else []

        return wait_until(look, PATIENCE_SECONDS, f"{hits} verdicts", 0.2)

    def verdicts(self, email_id: bytes) -> list[JudgedHit]:
        """Return what was judged of the hits of a message by now."""
        with closing(self.store.registry(create=False)) as registry:
            return registry.events.many_judged(email_id)

    def events(self) -> list[dict[str, Any]]:
        """Return the events that were made."""
        with closing(self.store.registry(create=False)) as registry:
            return [json.loads(one.event.body) for one in registry.events.many_after(0, 1000)]

    def connect(self, name: str) -> sqlite3.Connection:
        """Open a file of the store, as nobody should."""
        return sqlite3.connect(self.state / name, isolation_level=None)


@pytest.fixture
def readers() -> Iterator[Readers]:
    """Give a sidecar and its readers."""
    with LoneSidecar() as lone:
        state = lone.installation.state
        lone.installation.store.message_log().close()
        os.chown(state / "messages.db", lone.installation.milter_uid, lone.installation.gid)
        yield Readers(lone)


def an_email_id() -> bytes:
    """Return the id of a message of an hour ago."""
    return new_email_id(now() - 3600 * SECOND, os.urandom(10))


def test_a_burst_that_the_lock_of_the_store_splits(readers: Readers) -> None:
    """Two hits stored, the third in the journal: none of the three becomes an event."""
    readers.click(an_email_id(), 0)  # which makes the file
    with closing(readers.connect("hits.db")) as other:
        for _ in range(5):
            email_id = an_email_id()
            readers.click(email_id, 1)
            readers.click(email_id, 2)
            other.execute("BEGIN IMMEDIATE")
            readers.click(email_id, 3)
            time.sleep(HOLD_SECONDS + 2)
            meanwhile = readers.verdicts(email_id)
            other.execute("ROLLBACK")
            judged = readers.judged(email_id, 3)
            if judged[-1].received_at - judged[0].received_at <= SECOND:
                break  # else this machine was too busy for a burst

    assert [] == meanwhile
    assert ["burst"] * 3 == [one.verdict.rule for one in judged]


def test_rows_that_cannot_be_read(readers: Readers) -> None:
    """Of four hits one is lost and one judged by what is left; the metrics and the log say so."""
    messages = [an_email_id() for _ in range(4)]
    with closing(readers.connect("openclick.db")) as registry:
        registry.execute("BEGIN IMMEDIATE")  # nothing is judged while it is held
        for email_id in messages:
            readers.click(email_id, 1)
        with closing(readers.connect("hits.db")) as hits:
            hits.execute("UPDATE hits SET kind = 'z' WHERE position = 2")
            hits.execute("UPDATE hits SET headers = '{' WHERE position = 3")
        registry.execute("ROLLBACK")

    for email_id in (messages[0], *messages[2:]):
        readers.judged(email_id, 1)

    assert 3 == len(readers.events())
    metrics = readers.lone.metrics()
    assert metrics['unreadable_rows_total{what="hit"}'] == 1
    assert metrics['unreadable_rows_total{what="hit fields"}'] == 1
    log = (readers.lone.installation.directory / "sidecar.log").read_text("utf-8")
    assert 1 == log.count("judge: rows of hits.db cannot be read, hits lost positions=2\n")


def test_an_older_registry_is_put_back(readers: Readers) -> None:
    """Under the running sidecar: what it does not know of is judged again, without another hit."""
    messages = [an_email_id() for _ in range(3)]
    readers.click(messages[0], 1)
    readers.judged(messages[0], 1)
    older = readers.state / "older.db"
    with closing(readers.connect("openclick.db")) as registry:
        registry.execute("VACUUM INTO ?", (str(older),))
    for email_id in messages[1:]:
        readers.click(email_id, 1)
    for email_id in messages[1:]:
        readers.judged(email_id, 1)
    before = Counter(event["id"] for event in readers.events())
    owner = (readers.state / "openclick.db").stat()
    os.chown(older, owner.st_uid, owner.st_gid)
    older.chmod(0o660)
    for path in readers.state.glob("openclick.db-*"):
        path.unlink()
    older.rename(readers.state / "openclick.db")

    for email_id in messages:
        readers.judged(email_id, 1)

    assert 3 == len(before)
    assert before == Counter(event["id"] for event in readers.events())
