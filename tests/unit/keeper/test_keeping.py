"""The keeper: whatever happens to the store, a kept hit is on disk and comes to the judge."""

import logging
import os
import sqlite3
from contextlib import closing

import pytest

from openclick.store import Store
from unit.keeper.keeper_world import World, remove
from unit.samples import a_hit

# --- the usual case


def test_hits_go_to_the_store(world: World) -> None:
    """No journal is made for nothing."""
    lost = world.keep(1, 2)

    assert frozenset() == lost
    assert [1, 2] == world.stored()
    assert ["hits.db", "hits.db-shm", "hits.db-wal"] == sorted(os.listdir(world.store.directory))
    assert (2, 0, 0) == (world.keeper.stored, world.keeper.journaled, world.keeper.losses.total)


def test_nothing_is_made_before_it_is_needed(world: World) -> None:
    """A sidecar that nobody has visited leaves the directory as it was."""
    world.tend()
    world.tend(120)

    assert [] == os.listdir(world.store.directory)


# --- locked


def test_a_locked_store(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Straight to the journal after the first batch; back in the store within a second or so."""
    caplog.set_level(logging.INFO)
    world.keep(1)
    with closing(sqlite3.connect(world.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        kept = [world.keep(number) for number in range(2, 30)]
        world.tend(1)
        meanwhile = world.stored()
        other.execute("ROLLBACK")

    world.tend(1)

    assert {frozenset()} == set(kept)
    assert [1] == meanwhile
    assert list(range(1, 30)) == world.stored()
    assert [] == world.journal.files()
    assert [
        f'hits: go to the journal reason="{world.path}: database is locked"',
        "hits: the store takes hits again",
        "journal: all hits are in the store since_start=28",
    ] == caplog.messages


def test_a_locked_store_costs_its_patience_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later batches do not ask for the lock at all, nor does the retry wait for it."""
    world.keep(1)
    with closing(sqlite3.connect(world.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        world.keep(2)
        opened: list[int] = []
        monkeypatch.setattr(Store, "hit_log", lambda _self: opened.append(1))

        world.keep(3)
        world.tend(1)  # the connection stays open, so that asking again is cheap
        other.execute("ROLLBACK")

    assert [] == opened
    assert [2, 3] == world.journaled()


def test_new_hits_do_not_wait_for_the_replay(world: World) -> None:
    """Once the store is back, they go there at once, while the journal is taken back."""
    world.path.mkdir()
    world.keep(*range(600))
    world.path.rmdir()
    world.clock.advance(1)
    world.keeper.tend()  # the store takes hits again
    world.keeper.tend()  # a first step of the replay

    world.keep(1000)

    assert [*range(256), 1000] == world.stored()
    world.tend()
    assert {*range(600), 1000} == set(world.stored())


# --- other faults that pass


def test_a_store_that_cannot_be_opened(world: World) -> None:
    """Whatever stands in its place: the journal takes the hits until it is mended."""
    world.path.mkdir()

    lost = world.keep(1, 2)
    world.tend(1)
    world.path.rmdir()
    world.keep(3)
    world.tend(1)

    assert frozenset() == lost
    assert [1, 2, 3] == world.stored()


def test_a_newer_schema(world: World) -> None:
    """After a downgrade hits wait in the journal: what is not understood is not written to."""
    world.keep(1)
    world.keeper.close()
    with closing(sqlite3.connect(world.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 99")
    world.keeper = world.make_keeper()

    world.keep(2)
    world.tend(1)
    with closing(sqlite3.connect(world.path, isolation_level=None)) as connection:
        count = connection.execute("SELECT count(*) FROM hits").fetchone()[0]

    assert 1 == count
    assert [2] == world.journaled()


def test_neither_store_nor_journal(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Named as lost, counted, said once; and when the store is back, kept again."""
    world.path.mkdir()
    world.journal.directory.write_text("in the way")

    lost = [world.keep(1, 2), world.keep(3)]
    said = [text for text in caplog.messages if "not recorded" in text]
    world.path.rmdir()
    world.tend(1)

    assert [{a_hit(1).hit_id, a_hit(2).hit_id}, {a_hit(3).hit_id}] == lost
    assert 3 == world.keeper.losses.total
    assert 1 == len(said)
    assert "hits.db: unable to open" in said[0]
    assert "journal: File exists" in said[0]
    assert frozenset() == world.keep(4)
    assert [4] == world.stored()


def test_a_hit_that_no_store_can_hold(world: World) -> None:
    """It is lost alone, in the store's days and in the journal's."""
    bad = a_hit(2, user_agent="\ud800")

    first = world.keeper.keep([a_hit(1), bad, a_hit(3)])
    remove(world)
    world.keeper.close()
    world.path.mkdir()
    second = world.keeper.keep([a_hit(4), bad, a_hit(5)])

    assert ({bad.hit_id}, {bad.hit_id}) == (first, second)
    assert {4, 5} <= set(world.journaled())


# --- the process dies


def test_the_journal_is_taken_back_at_the_next_start(world: World) -> None:
    """What a killed process has left."""
    world.path.mkdir()
    world.keep(1, 2)
    world.keeper.close()
    world.path.rmdir()
    world.keeper = world.make_keeper()

    world.tend()

    assert [1, 2] == world.stored()
    assert [] == world.journal.files()
