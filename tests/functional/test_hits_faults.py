"""Answered means recorded, whatever breaks: the real sidecar, its store and real faults.

Every test visits with tokens that are asked for once, so that a destination names its hit: what was
answered must become an event, and nothing may become two.
"""

import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from openclick_sidecar.journal import journal_files
from support.clicked_world import MESSAGE_ID, World, a_message, hold_lock, locked
from support.disks import CuttableDisk, memory_disk
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.processes import wait_until

pytestmark = requires_private_postfix

KILLS = 100
LOCK_SECONDS = 30.0
AWAY_SECONDS = 60.0
POWER_CUTS = 5
MEBIBYTE = 1_048_576


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
        with locked(world.path("hits.db"), world):
            world.visit(2.0)

        for _ in range(10):
            world.kill()
            world.installation.start_sidecar()
            time.sleep(draw.uniform(0, 0.05))

        world.require_answers(100)
        world.require_all()
        wait_until(lambda: not world.journal(), 10, "an empty journal")


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
        with locked(world.path("hits.db"), world):
            before = len(world.visitors.answered)
            world.visit(LOCK_SECONDS)
            during = len(world.visitors.answered) - before

        world.require_answers(100)
        world.require_all()
        assert during > LOCK_SECONDS * 4 * world.visitors.count
        assert 1 == world.log().count("hits: go to the journal")
        wait_until(lambda: not world.journal(), 10, "an empty journal")

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
                full = bool(journal_files(journal))
                filler.unlink()
                time.sleep(0.5)

            world.require_answers(100)
            world.require_all()
            assert full
            wait_until(lambda: not journal_files(journal), 10, "an empty journal")

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
            kept = bool(journal_files(journal))
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
        self._cut_while(lambda world: hold_lock(world.path("hits.db")))

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
