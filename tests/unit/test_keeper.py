"""The keeper: whatever happens to the store, a kept hit is on disk and comes to the judge."""

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from openclick.free_space import FreeSpace
from openclick.hits import Hit
from openclick.instants import SECOND
from openclick.store import JudgeCursor, Store, StoreCorrupt, hits, open_store
from openclick_sidecar import keeper
from openclick_sidecar.journal import Journal, read_page
from openclick_sidecar.keeper import HitKeeper, journal_directory
from support.clock import Clock
from unit.samples import NOW, a_hit, a_judgement

DAY = 86_400 * SECOND
EVERYTHING = 10**18


class World:
    """A store, its keeper, and a clock that stands still."""

    def __init__(self, directory: Path, reserve_bytes: int = 0) -> None:
        self.store = open_store(f"sqlite:{directory}")
        self.path = directory / "hits.db"
        self.clock = Clock()
        self.now = NOW
        self.space = FreeSpace(directory, reserve_bytes, self.clock.monotonic)
        self.keeper = self.make_keeper()

    def make_keeper(self) -> HitKeeper:
        """Return what a process that starts now has."""
        directory = journal_directory(self.store, "")
        plenty = FreeSpace(directory, 0, self.clock.monotonic)
        self.journal = Journal(directory, plenty, lambda: NOW)
        return HitKeeper(
            self.store, self.journal, self.space, lambda: 30, lambda: self.now, self.clock.monotonic
        )

    def keep(self, *numbers: int) -> frozenset[bytes]:
        """Keep hits of these numbers in one batch."""
        return self.keeper.keep([a_hit(number) for number in numbers])

    def tend(self, seconds: float = 0.0) -> None:
        """Let time pass and do what is due."""
        self.clock.advance(seconds)
        for _ in range(20):
            self.keeper.tend()

    def judged_up_to(self, position: int, number: int) -> None:
        """Let the judge have come to hit `number`, which stands at `position`."""
        with closing(self.store.hit_reader()) as reader:
            cursor = JudgeCursor(reader.file_id(), position, a_hit(number).hit_id)
        with closing(self.store.registry(owner=True)) as registry:
            registry.events.record_judgements([a_judgement(number)], cursor, NOW)

    def stored(self) -> list[int]:
        """Return the numbers of the hits in the store, as the judge would read them."""
        with closing(self.store.hit_reader()) as reader:
            return numbers(hit for _, hit in reader.many_after(0, 100_000, 100_000))

    def journaled(self) -> list[int]:
        """Return the numbers of the hits in the journal's files."""
        self.journal.close_file()
        pages = [read_page(path, 0, 10_000) for path in self.journal.files()]
        return numbers(hit for page in pages if page for hit in page.hits)

    def file_id(self) -> str:
        """Return the name of the present hits.db."""
        with closing(self.store.hit_reader()) as reader:
            return reader.file_id()


def numbers(found: Iterator[Hit]) -> list[int]:
    """Return the numbers that sample hits were made from."""
    return [int.from_bytes(hit.hit_id, "big") for hit in found]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return a world with an empty store."""
    made = World(tmp_path)
    yield made
    made.keeper.close()


def remove(world: World) -> None:
    """Delete the file and its companions."""
    for path in world.store.directory.glob("hits.db*"):
        path.unlink()


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


# --- room


def test_below_the_reserve(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Hits go to the journal, which may lie elsewhere; when there is room again, to the store."""
    world = World(tmp_path, reserve_bytes=EVERYTHING)

    lost = world.keep(1)
    world.tend(1)
    before = world.journaled()
    world.space.reserve_bytes = 0
    world.tend(1)
    world.tend(1)
    world.keeper.close()

    assert frozenset() == lost
    assert [1] == before
    assert [1] == world.stored()
    assert f"fewer than {EVERYTHING} bytes are free" in caplog.messages[0]


def test_retention_works_below_the_reserve(tmp_path: Path) -> None:
    """That is what the reserve is for; and the room that it makes in the file is used again."""
    world = World(tmp_path)
    body = "x" * 4000
    for first in range(0, 3000, 500):
        batch = range(first, first + 500)
        world.keeper.keep([a_hit(number, destination=body) for number in batch])
    world.judged_up_to(3000, 2999)
    world.space.reserve_bytes = EVERYTHING
    world.clock.advance(1)
    world.keep(5000)
    in_need = world.journaled()

    world.now += 31 * DAY
    for _ in range(70):
        world.tend(1)
    world.keeper.close()

    assert [5000] == in_need
    assert [2999, 5000] == world.stored()


# --- retention


def test_old_hits_go(world: World) -> None:
    """Those of more than hits_days ago, a step of 500 at a time, but the one at the cursor."""
    world.keep(*range(1, 1101))
    world.judged_up_to(1100, 1100)
    world.now += 31 * DAY
    left = list[int]()

    for _ in range(4):
        world.clock.advance(60)
        world.keeper.tend()
        left.append(len(world.stored()))

    assert [600, 100, 1, 1] == left
    assert [1100] == world.stored()


def test_young_hits_stay(world: World) -> None:
    """Up to the day."""
    world.keep(1, 2)
    world.judged_up_to(2, 2)
    world.now += 30 * DAY

    world.tend(60)

    assert [1, 2] == world.stored()


def test_unjudged_hits_stay(world: World) -> None:
    """However old: nothing is lost because the judge had to wait."""
    world.keep(1, 2, 3)
    world.judged_up_to(2, 2)
    world.now += 400 * DAY

    world.tend(60)

    assert [2, 3] == world.stored()


NO_CURSOR: dict[str, Callable[[World], object]] = {
    "no registry": lambda _world: None,
    "no cursor": lambda world: world.store.registry(owner=True).close(),
    "another file's cursor": lambda world: put_cursor(world, "other", 2, 2),
    "another hit at its place": lambda world: put_cursor(world, world.file_id(), 2, 77),
}


def put_cursor(world: World, file_id: str, position: int, number: int) -> None:
    """Write a cursor of the judge's."""
    cursor = JudgeCursor(file_id, position, a_hit(number).hit_id)
    with closing(world.store.registry(owner=True)) as registry:
        registry.events.record_judgements([], cursor, NOW)


@pytest.mark.parametrize("name", NO_CURSOR)
def test_without_a_cursor_of_this_file_nothing_goes(world: World, name: str) -> None:
    """Nobody knows what is judged."""
    world.keep(1, 2, 3)
    NO_CURSOR[name](world)
    world.now += 400 * DAY

    world.tend(60)

    assert [1, 2, 3] == world.stored()
