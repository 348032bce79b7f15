"""A hits.db that was deleted, replaced or found corrupt: what it held is saved."""

import logging
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from openclick.hits import Hit
from openclick.store import StoreCorrupt, hits
from openclick_sidecar import keeper
from unit.keeper.keeper_world import World, remove
from unit.samples import a_hit

# --- the file is not in its place any more


def test_the_store_is_deleted(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A new file takes the hits, and what stood in the deleted one, which is still open."""
    world.keep(1, 2)
    remove(world)

    lost = world.keep(3)

    assert frozenset() == lost
    assert [1, 2, 3] == world.stored()
    assert any("was deleted or replaced while it was open" in text for text in caplog.messages)
    assert "hits: salvaged hits=2 unreadable=0" in caplog.messages


def test_the_store_is_deleted_while_a_batch_is_committed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit went into a file without a name: nobody is told before it is written again."""
    world.keep(1)
    insert, calls = hits._insert, list[int]()

    def insert_and_delete(connection: sqlite3.Connection, batch: Sequence[Hit]) -> None:
        insert(connection, batch)
        if not calls:
            calls.append(1)
            remove(world)

    monkeypatch.setattr(hits, "_insert", insert_and_delete)

    lost = world.keep(2)

    assert frozenset() == lost
    assert {1, 2} == set(world.stored())


def test_only_the_log_is_deleted(world: World) -> None:
    """The last commits stand in the write-ahead log: without it they would be gone at a crash."""
    world.keep(1)
    (world.store.directory / "hits.db-wal").unlink()

    world.keep(2)

    assert {1, 2} <= set(world.stored())


def test_the_store_is_replaced_by_a_back_up(world: World) -> None:
    """What came since is written into the restored file, so that the judge sees it."""
    world.keep(1)
    world.keeper.close()
    back_up = world.path.read_bytes()
    world.keeper = world.make_keeper()
    world.keep(2, 3)
    remove(world)
    world.path.write_bytes(back_up)

    world.keep(4)

    assert {1, 2, 3, 4} == set(world.stored())


def test_only_what_may_be_unjudged_is_salvaged(world: World) -> None:
    """From the judge's cursor on."""
    world.keep(1, 2, 3)
    world.judged_up_to(2, 2)
    remove(world)

    world.keep(4)

    assert [3, 4] == world.stored()


def test_salvage_has_a_bound(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest so many, so that no answer waits for long; how many were left is said."""
    monkeypatch.setattr(keeper, "_SALVAGE_ROWS", 100)
    world.keep(*range(1, 111))
    remove(world)

    world.keep(200)

    assert [*range(11, 111), 200] == world.stored()
    assert "hits: salvaged hits=100 unreadable=0 left=10" in caplog.messages


def test_the_directory_is_gone(world: World, tmp_path: Path) -> None:
    """Nothing can be written anywhere; when it is back, so is what the deleted file held."""
    directory = tmp_path / "store"
    directory.mkdir()
    small = World(directory)
    small.keep(1)
    moved = tmp_path / "elsewhere"
    directory.rename(moved)

    lost = small.keep(2)
    directory.mkdir()
    small.tend(1)
    small.keep(3)
    small.keeper.close()

    assert {a_hit(2).hit_id} == lost
    assert [1, 3] == small.stored()


# --- corrupt


def spoil(path: Path) -> None:
    """Overwrite the whole file but its length."""
    path.write_bytes(os.urandom(path.stat().st_size))


def test_a_file_that_is_no_database(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Set aside under a name with the instant, never deleted; a new file gets a new file id."""
    world.path.write_bytes(b"no database" * 100)

    lost = world.keep(1)

    [aside] = world.store.directory.glob("hits.db.corrupt-*")
    assert frozenset() == lost
    assert [1] == world.stored()
    assert b"no database" * 100 == aside.read_bytes()
    assert "hits.db.corrupt-20251123T224000Z" == aside.name
    assert f"hits: corrupt file set aside file={aside}" in caplog.messages[0]


def test_damage_is_met_by_a_write(world: World) -> None:
    """Hits that were not judged yet are saved from what can still be read."""
    world.keep(*range(1, 400))
    world.judged_up_to(100, 100)
    before = world.file_id()
    world.keeper.close()
    with world.path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size - size % 4096 - 4096)  # the last page: the newest rows, where a write goes
        file.write(b"\xff" * 4096)
    world.keeper = world.make_keeper()

    lost = world.keep(1000)

    assert frozenset() == lost
    assert before != world.file_id()
    assert {*range(101, 350), 1000} <= set(world.stored())
    assert 100 not in world.stored()
    assert 1 == len([*world.store.directory.glob("hits.db.corrupt-*Z")])


def test_twice_in_one_second(world: World) -> None:
    """No name is taken that is taken."""
    for number in (1, 2):
        world.keeper.close()
        for path in world.store.directory.glob("hits.db-*"):
            path.unlink()
        world.path.write_bytes(b"no database" * 100)
        world.keep(number)

    assert 2 == len([*world.store.directory.glob("hits.db.corrupt-*")])


def test_the_same_corruption_told_late(world: World) -> None:
    """Who reads may tell of a file that was set aside long ago: the new one stays."""
    world.path.write_bytes(b"no database" * 100)
    with pytest.raises(StoreCorrupt) as told:
        world.store.hit_reader()
    world.keep(1)

    world.keeper.distrust(told.value)

    assert [1] == world.stored()
    assert 1 == len([*world.store.directory.glob("hits.db.corrupt-*")])


def test_rows_that_cannot_be_read(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Of a file that was moved away, they cost themselves; damaged headers cost nothing else."""
    caplog.set_level(logging.INFO)
    world.keep(1, 2, 3, 4)
    with closing(sqlite3.connect(world.path)) as connection, connection:
        connection.execute("UPDATE hits SET kind = 'z' WHERE position = 2")
        connection.execute("UPDATE hits SET headers = CAST(x'ff' AS TEXT) WHERE position = 3")
    remove(world)

    world.keep(5)

    assert [1, 3, 4, 5] == world.stored()
    assert "hits: salvaged hits=3 unreadable=1" in caplog.messages
