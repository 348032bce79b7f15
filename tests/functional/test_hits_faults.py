"""Answered means recorded, whatever breaks: the real sidecar, its store and real faults.

Every test visits with tokens that are asked for once, so that a destination names its hit: what was
answered must become an event, and nothing may become two.
"""

import json
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from openclick.keys import load_keys
from openclick.messages import Labels, Message, Outcome
from support.disks import CuttableDisk, memory_disk
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.processes import wait_until
from support.visitors import Visitors

pytestmark = requires_private_postfix

DOMAIN = "kontor.example"
TRACKING_DOMAIN = f"track.{DOMAIN}"
EMAIL_ID = bytes.fromhex("0199c0de00007abc8def0123456789ab")
MESSAGE_ID = "<faults@kontor.example>"
KILLS = 100
LOCK_SECONDS = 30.0
AWAY_SECONDS = 60.0
POWER_CUTS = 5
MEBIBYTE = 1_048_576


class World:
    """An installation with a running sidecar, and readers who click."""

    def __init__(self, installation: Installation, **store: object) -> None:
        self.installation = installation
        self.state = installation.state
        installation.configure(
            "unix:/nonexistent/milter.sock",
            53,
            store={"url": f"sqlite:{installation.state}"} | store,
            keys={"directory": str(installation.state / "keys")},
            log={"level": "info"},
        )
        installation.init()
        # No row for the copies that are clicked: their number is the clicks'.
        with closing(installation.store.message_log()) as log:
            log.record([a_message(b"\0\0\0\0")])
        os.chown(self.state / "messages.db", installation.milter_uid, installation.gid)
        installation.start_sidecar()
        ring = load_keys(str(installation.state / "keys"))
        self.visitors = Visitors(ring, TRACKING_DOMAIN, EMAIL_ID, installation.hit_port)

    def path(self, name: str) -> Path:
        """Return a file of the store."""
        return self.state / name

    def files(self, name: str) -> list[Path]:
        """Return a database and its companions."""
        return sorted(self.state.glob(f"{name}*"))

    def stop(self) -> None:
        """End the sidecar as systemd does."""
        assert self.installation.sidecar is not None
        assert 0 == self.installation.sidecar.terminate(timeout=20)

    def kill(self) -> None:
        """End the sidecar as a power cut would."""
        assert self.installation.sidecar is not None
        self.installation.sidecar.kill9()

    def visit(self, seconds: float) -> None:
        """Let readers click for a while."""
        with self.visitors:
            time.sleep(seconds)

    def log(self) -> str:
        """Return everything that the sidecar has logged."""
        return (self.installation.directory / "sidecar.log").read_text("utf-8", "replace")

    def events(self) -> list[dict[str, Any]]:
        """Return the events that were made."""
        with closing(self.installation.store.registry()) as registry:
            found = list[dict[str, Any]]()
            seq = 0
            while logged := registry.events.many_after(seq, 1000):
                found += [json.loads(entry.event.body) for entry in logged]
                seq = logged[-1].seq
        return found

    def require_all(self, timeout: float = 60) -> None:
        """Wait until every answered click is an event, and check that none became two."""
        wait_until(lambda: not self.missing(), timeout, "an event for each answered click", 0.2)
        urls = Counter(event["data"]["tracking"]["url"] for event in self.events())
        assert [] == [url for url, times in urls.items() if times > 1]

    def missing(self) -> set[str]:
        """Return the answered clicks that are no event."""
        made = {event["data"]["tracking"]["url"] for event in self.events()}
        return set(self.visitors.answered) - made

    def require_answers(self, at_least: int) -> None:
        """Check that every click was answered with its redirect."""
        assert [] == self.visitors.refused
        assert len(self.visitors.answered) >= at_least


def a_message(copy: bytes) -> Message:
    """Return the row of a copy."""
    return Message(
        *(EMAIL_ID, copy, 0, Outcome.INSTRUMENTED, "", "4Xk2Q1z0", MESSAGE_ID, None),
        *("news@kontor.example", "news@kontor.example", ("anna@reader.example",), "Boots"),
        *(DOMAIN, TRACKING_DOMAIN, True, "", True, "", Labels(), {}, (), ""),
    )


@pytest.fixture
def world() -> Iterator[World]:
    """Give a fresh installation with its sidecar."""
    with Installation() as installation:
        yield World(installation)


class TestKill:
    """SIGKILL, whenever it comes."""

    def test_no_answered_hit_is_lost_in_100_kills(self, world: World) -> None:
        """Under load, at random moments: every answered hit is an event, and none is two."""
        draw = random.Random(4)

        for _ in range(KILLS):
            with world.visitors:
                time.sleep(draw.uniform(0.02, 0.12))
                world.kill()
            world.installation.start_sidecar()

        assert len(world.visitors.answered) > KILLS
        world.require_all()

    def test_no_answered_hit_is_lost_in_kills_during_the_replay(self, world: World) -> None:
        """While the journal is being taken back: the next process goes on where it stood."""
        draw = random.Random(5)
        with _locked(world.path("hits.db"), world):
            world.visit(2.0)

        for _ in range(10):
            world.kill()
            world.installation.start_sidecar()
            time.sleep(draw.uniform(0, 0.05))

        world.require_answers(100)
        world.require_all()
        wait_until(lambda: not _journal(world), 10, "an empty journal")


class TestStore:
    """Every valid link answers 302 throughout, and its hit becomes an event afterwards."""

    def test_the_store_is_deleted(self, world: World) -> None:
        """Under the running sidecar, several times."""
        with world.visitors:
            for _ in range(4):
                time.sleep(0.4)
                for path in world.files("hits.db"):
                    path.unlink(missing_ok=True)
            time.sleep(0.4)

        world.require_answers(100)
        world.require_all()
        assert "hits: the store was moved away" in world.log()

    def test_the_store_is_locked(self, world: World) -> None:
        """For LOCK_SECONDS: the journal takes the hits, at once and not a quarter second each."""
        world.visit(0.2)
        with _locked(world.path("hits.db"), world):
            before = len(world.visitors.answered)
            world.visit(LOCK_SECONDS)
            during = len(world.visitors.answered) - before

        world.require_answers(100)
        world.require_all()
        assert during > LOCK_SECONDS * 4 * world.visitors.count
        assert 1 == world.log().count("hits: go to the journal")
        wait_until(lambda: not _journal(world), 10, "an empty journal")

    def test_the_store_is_corrupt(self, world: World) -> None:
        """Overwritten under the running sidecar: set aside, and a new one with a new file id."""
        world.visit(0.5)
        world.require_all()
        before = _file_id(world)
        path = world.path("hits.db")
        _empty_log(path)
        with path.open("r+b") as file:
            file.write(os.urandom(path.stat().st_size))

        world.visit(2.0)

        world.require_answers(100)
        world.require_all()
        assert before != _file_id(world)
        assert [True] == [p.exists() for p in world.state.glob("hits.db.corrupt-*Z")]

    def test_the_store_was_corrupt_before_the_start(self, world: World) -> None:
        """Nothing that can be read of it is lost: hits that were not judged yet."""
        world.visit(0.3)
        world.kill()  # within the hold, so that the last hits are not judged
        _spoil_a_leaf(world.path("hits.db"))
        world.installation.start_sidecar()

        world.visit(0.5)

        assert len(world.visitors.answered) > 100
        wait_until(lambda: len(world.missing()) < 60, 60, "events but for one page of hits", 0.2)

    def test_the_store_cannot_be_written(self, world: World) -> None:
        """The sidecar's user has lost the right to: the journal elsewhere takes the hits."""
        journal = world.installation.directory / "journal"
        journal.mkdir()
        os.chown(journal, world.installation.sidecar_uid, world.installation.gid)
        world.stop()
        _configure_journal(world, journal)
        for path in world.files("hits.db"):
            path.chmod(0o440)
        world.state.chmod(0o2550)
        world.installation.start_sidecar()

        world.visit(1.5)
        for path in world.files("hits.db"):
            path.chmod(0o660)
        world.state.chmod(0o2770)
        world.visit(0.5)

        world.require_answers(100)
        world.require_all()
        assert "hits: go to the journal" in world.log()

    def test_the_disk_is_full(self) -> None:
        """SQLite says so, the journal lies elsewhere; when there is room, the hits are events."""
        with (
            Installation() as installation,
            memory_disk(installation.directory / "disk", 256 * MEBIBYTE) as disk,
        ):
            installation.state = disk / "state"
            journal = installation.directory / "journal"
            world = World(installation, journal_directory=str(journal), reserve_bytes=0)
            filler = disk / "filler"

            with world.visitors:
                time.sleep(0.5)
                _fill(filler)
                time.sleep(2)
                full = bool(_files(journal))
                filler.unlink()
                time.sleep(0.5)

            world.require_answers(100)
            world.require_all()
            assert full
            wait_until(lambda: not _files(journal), 10, "an empty journal")

    def test_the_reserve_is_reached(self) -> None:
        """Before the disk is full: hits go to the journal, and the reserve stays free."""
        with (
            Installation() as installation,
            memory_disk(installation.directory / "disk", 256 * MEBIBYTE) as disk,
        ):
            installation.state = disk / "state"
            journal = installation.directory / "journal"
            world = World(installation, journal_directory=str(journal), reserve_bytes=8 * MEBIBYTE)
            filler = disk / "filler"
            filler.write_bytes(bytes(249 * MEBIBYTE))
            time.sleep(1)

            world.visit(1.0)
            kept = bool(_files(journal))
            filler.unlink()

            world.require_answers(100)
            world.require_all()
            assert kept
            assert f"fewer than {8 * MEBIBYTE} bytes are free" in world.log()


class TestPowerCut:
    """ext4 without its flushes: what was answered is there when the power is back."""

    def test_no_answered_hit_is_lost(self) -> None:
        """The process is frozen, the answers that left it are counted, and then the power goes."""
        self._cut_while(lambda _world: None)

    def test_no_answered_hit_is_lost_from_the_journal(self) -> None:
        """The same while the store is locked and the journal takes the hits."""
        self._cut_while(lambda world: _hold_lock(world.path("hits.db")))

    def _cut_while(self, prepare: Callable[[World], sqlite3.Connection | None]) -> None:
        with Installation() as installation:
            disk = CuttableDisk(installation.directory, 96 * MEBIBYTE)
            with closing(disk):
                installation.state = disk.mount_point / "state"
                world = World(installation, reserve_bytes=0)
                world.visitors.click(1)
                os.sync()
                for number in range(POWER_CUTS):
                    held = prepare(world)
                    self._cut(disk, world, 0.3 + 0.1 * number)
                    if held is not None:
                        held.close()
                    disk.unmount()
                    disk.mount()
                    installation.start_sidecar()
                world.require_all()
                assert len(world.visitors.answered) > 100
                world.stop()

    def _cut(self, disk: CuttableDisk, world: World, seconds: float) -> None:
        sidecar = world.installation.sidecar
        assert sidecar is not None
        with world.visitors:
            time.sleep(seconds)
            sidecar.signal(signal.SIGSTOP)
            time.sleep(0.2)  # what was answered arrives
            disk.cut()
            sidecar.kill9()


class TestMessages:
    """No event without its message."""

    def test_messages_cannot_be_read_for_a_while(self, world: World) -> None:
        """Hits wait; when the file is back, every event has its message's data."""
        with closing(world.installation.store.message_log()) as log:
            log.record([a_message(number.to_bytes(4, "big")) for number in range(200)])
        aside = world.state / "aside"
        aside.mkdir()
        for path in world.files("messages.db"):
            path.rename(aside / path.name)

        world.visitors.click(100)
        time.sleep(AWAY_SECONDS)
        meanwhile = world.events()
        for path in aside.iterdir():
            path.rename(world.state / path.name)
        world.visitors.click(100)

        world.require_answers(200)
        world.require_all()
        assert [] == meanwhile
        assert {MESSAGE_ID} == {event["data"]["message_id"] for event in world.events()}


def _hold_lock(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    connection.execute("BEGIN IMMEDIATE")
    return connection


class _locked:  # noqa: N801 - reads as a function
    """Holds the write lock of a database; makes sure that there is one first."""

    def __init__(self, path: Path, world: World) -> None:
        if not path.exists():
            world.visitors.click(1)
        self._connection = _hold_lock(path)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_error: object) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()


def _files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.journal"))


def _journal(world: World) -> list[Path]:
    return _files(world.state / "journal")


def _configure_journal(world: World, journal: Path) -> None:
    path = world.installation.config_path
    line = f'[store]\njournal_directory = "{journal}"\n'
    path.write_text(path.read_text("utf-8").replace("[store]\n", line), "utf-8")


def _file_id(world: World) -> str:
    with closing(world.installation.store.hit_reader()) as reader:
        return reader.file_id()


def _empty_log(path: Path) -> None:
    """Bring everything out of the write-ahead log, so that damage to the file is felt."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _spoil_a_leaf(path: Path) -> None:
    """Overwrite one page of rows."""
    _empty_log(path)
    pages = path.stat().st_size // 4096
    with path.open("r+b") as file:
        file.seek((pages - 1) * 4096)
        file.write(b"\xff" * 4096)


def _fill(path: Path) -> None:
    """Fill a file system to the last byte."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
