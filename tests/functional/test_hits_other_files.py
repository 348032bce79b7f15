"""What the judge needs is locked or corrupt: links are answered, hits wait, and then are events.

`test_hits_faults.py` does it to hits.db; here it is openclick.db, which takes the events, and
messages.db, from which their data comes.
"""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from support.clicked_world import MESSAGE_ID, World, hold_lock
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.processes import wait_until

pytestmark = requires_private_postfix

WAITS = "judge: hits wait to be judged"
GOES_ON = "judge: hits are judged again"
ROWS = 200
LONGER_SECONDS = 1.0
"""For so long readers go on clicking once the sidecar has noticed."""


@pytest.fixture
def world() -> Iterator[World]:
    """Give a fresh installation with its sidecar, and rows for the first copies."""
    with Installation() as installation:
        yield World(installation, rows=ROWS)


class TestOpenclick:
    """openclick.db: domains, webhooks, and what becomes of hits."""

    def test_locked(self, world: World) -> None:
        """Somebody holds its write lock under load: the events come when he lets go."""
        with world.visitors:
            with closing(hold_lock(world.path("openclick.db"))):
                wait_until(lambda: WAITS in world.log(), 60, "a judge that waits", 0.1)
                time.sleep(LONGER_SECONDS)
                meanwhile = len(world.events())
            time.sleep(LONGER_SECONDS)

        world.require_answers(100)
        world.require_all()
        assert meanwhile < len(world.events())
        assert GOES_ON in world.log()

    def test_corrupt(self, world: World) -> None:
        """Overwritten under load: after the repair of docs/operations.md no hit is missing."""
        backup = world.installation.directory / "backup"
        world.visit(0.5)
        world.require_all()
        world.installation.openclick("store", "backup", str(backup))
        world.visit(0.5)  # judged after the back-up, so that its cursor is behind

        with world.visitors:
            overwrite(world.path("openclick.db"))
            wait_until(lambda: WAITS in world.log(), 60, "a judge that waits", 0.1)
            time.sleep(LONGER_SECONDS)
        _put_back(world, backup)
        world.visit(0.5)

        world.require_answers(100)
        world.require_all()
        assert [] == list(world.state.glob("openclick.db.corrupt-*"))  # ADR 0008: never by itself


class TestMessages:
    """messages.db: without it no event is made, rather than one without its message's data."""

    def test_locked_for_readers_too(self, world: World) -> None:
        """Somebody has it for himself: every event has its message's data afterwards."""
        with closing(_own(world.path("messages.db"))):
            world.visitors.click(ROWS // 2)
            wait_until(lambda: WAITS in world.log(), 60, "a judge that waits", 0.1)
            world.visitors.click(ROWS // 2)
            meanwhile = world.events()

        _require_data(world)
        assert [] == meanwhile

    def test_locked_for_writers(self, world: World) -> None:
        """As the milter does all day: nobody waits."""
        with closing(hold_lock(world.path("messages.db"))):
            world.visitors.click(ROWS)
            world.require_all()

        _require_data(world)
        assert WAITS not in world.log()

    def test_corrupt(self, world: World) -> None:
        """Overwritten before the judge has read it: it waits until a good file is in its place."""
        path = world.path("messages.db")
        good = path.read_bytes()
        overwrite(path)

        world.visitors.click(ROWS // 2)
        wait_until(lambda: WAITS in world.log(), 60, "a judge that waits", 0.1)
        world.visitors.click(ROWS // 2)
        meanwhile = world.events()
        aside = path.with_name("good")
        aside.write_bytes(good)
        aside.chmod(0o660)
        os.chown(aside, world.installation.milter_uid, world.installation.gid)
        aside.rename(path)

        _require_data(world)
        assert [] == meanwhile


def overwrite(path: Path) -> None:
    """Make a database a file of random bytes, as long as it was, its log emptied before."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))


def _own(path: Path) -> sqlite3.Connection:
    """Take a database away from every reader and writer, as long as the connection lives."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("COMMIT")
    return connection


def _put_back(world: World, backup: Path) -> None:
    """Put openclick.db back as docs/operations.md says; the other files are sound."""
    world.stop()
    aside = world.state / "aside"
    aside.mkdir()
    for path in world.files("openclick.db"):
        path.rename(aside / path.name)
    shutil.copy2(backup / "openclick.db", world.path("openclick.db"))
    status = (backup / "openclick.db").stat()  # cp -p keeps the owner too
    os.chown(world.path("openclick.db"), status.st_uid, status.st_gid)
    world.installation.start_sidecar()


def _require_data(world: World) -> None:
    """Check that every click of a copy with a row is an event with its message's data."""
    world.require_answers(ROWS)
    world.require_all()
    events = world.events()
    assert ROWS == len(events)
    assert {MESSAGE_ID} == {event["data"]["message_id"] for event in events}
