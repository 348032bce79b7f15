"""A burst whose hits came into hits.db by two ways is a burst: all its hits drop.

The store is locked in its midst, so that some hits go to the journal and come back later, among
hits of another time.  The keeper writes, as it does in the recorder's thread.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from openclick.hits import Hit
from openclick.instants import SECOND
from openclick_sidecar.free_space import FreeSpace
from openclick_sidecar.journal import Journal
from openclick_sidecar.keeper import HitKeeper, journal_directory
from support.clock import Clock
from unit.judging.judging_desk import Desk, a_burst, strangers
from unit.samples import NOW, a_hit, an_open

LATER = NOW + 30 * SECOND


class Split:
    """A desk with the keeper that writes its hits."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.desk = Desk(directory, first_unstored_at=lambda: self.keeper.replay.first_at)
        self.keeper = self.make_keeper()

    def make_keeper(self) -> HitKeeper:
        """Return what a process that starts now has."""
        directory = journal_directory(self.desk.store, "")
        space = FreeSpace(directory, 0, self.clock.monotonic)
        self.journal = Journal(directory, space, lambda: NOW)
        return HitKeeper(
            self.desk.store, self.journal, space, lambda: 30, lambda: NOW, self.clock.monotonic
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of hits.db."""
        path = self.desk.store.directory / "hits.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    def keep(self, *hits: Hit) -> None:
        """Keep hits in one batch."""
        assert self.keeper.keep(hits) == frozenset()

    def take_hits_again(self) -> None:
        """Let the keeper see that the store is back; nothing is taken back yet."""
        self.clock.advance(1)
        self.keeper.tend()

    def tend(self) -> None:
        """Let the keeper do all that is due."""
        self.clock.advance(1)
        for _ in range(50):
            self.keeper.tend()
        assert self.journal.files() == []

    def close(self) -> None:
        """Close what is open."""
        self.keeper.close()
        self.desk.close()


@pytest.fixture
def split(tmp_path: Path) -> Iterator[Split]:
    """Return a desk and its keeper."""
    made = Split(tmp_path)
    yield made
    made.close()


def a_visitor(number: int) -> Hit:
    """Return a click on another message half a minute later."""
    return a_hit(number, email_id=bytes(16), received_at=LATER + number)


def test_the_store_is_locked_in_the_midst_of_a_burst(split: Split) -> None:
    """What was stored waits for the rest, which waits in the journal."""
    first, second, third = a_burst(1)
    split.keep(first, second)
    with split.locked():
        split.keep(third)
        split.desk.judge()
        meanwhile = split.desk.events()
    split.tend()

    split.desk.judge()

    assert [] == meanwhile
    assert ["burst"] * 3 == split.desk.rules()
    assert [] == split.desk.events()


def test_only_what_may_be_of_such_a_burst_waits(split: Split) -> None:
    """A click of two seconds before does not, nor does an open of that very moment."""
    split.keep(a_hit(1, received_at=NOW - 2 * SECOND), an_open(2, received_at=NOW))
    with split.locked():
        split.keep(a_hit(3))

        split.desk.judge()

        assert [1, 2] == split.desk.events()


def test_a_click_that_waited_is_judged_without_another_hit(split: Split) -> None:
    """It was no burst: its event comes with the first tick after the journal was taken back."""
    split.keep(a_hit(1))
    with split.locked():
        split.keep(an_open(2, received_at=NOW + SECOND))
        split.desk.judge()
    split.tend()

    split.desk.judge()

    assert [1, 2] == split.desk.events()


def test_a_live_hit_between_two_steps_of_the_replay(split: Split) -> None:
    """It ends no search: the burst goes on behind it."""
    split.keep(a_visitor(400))
    burst = a_burst(1, links=4)
    others = [a_hit(500 + n, email_id=b"o" * 16, received_at=NOW + 1000) for n in range(254)]
    with split.locked():
        split.keep(*burst[:2], *others, *burst[2:])
    split.take_hits_again()
    split.keeper.tend()  # a first step: two of the burst, and the others
    split.keep(*(a_visitor(401 + n) for n in range(3)))
    split.desk.judge()
    split.tend()

    split.desk.judge()

    assert ["burst"] * 4 == split.desk.rules()


def test_the_end_of_the_journal_splits_a_burst(split: Split) -> None:
    """Its first hits were journaled last, its last was stored at once, 6,000 places before them."""
    first, second, third = a_burst(1, at=LATER)
    early = [hit._replace(received_at=NOW + 5_000 * n) for n, hit in enumerate(strangers(6000))]
    split.keep(a_hit(900, email_id=bytes(16), received_at=NOW - SECOND))
    with split.locked():
        for place in range(0, 6000, 1000):
            split.keep(*early[place : place + 1000])
        split.keep(first, second)
    split.take_hits_again()
    split.keep(third)
    split.tend()

    split.desk.judge()

    assert ["burst"] * 3 == split.desk.rules()


def test_a_burst_that_comes_during_the_replay(split: Split) -> None:
    """Its hits are stored between the steps, which are stepped over, wherever a batch ends."""
    split.keep(a_hit(900, email_id=bytes(16), received_at=NOW - SECOND))
    split.desk.judge()
    with split.locked():
        split.keep(*(hit._replace(received_at=NOW) for hit in strangers(1500)))
    split.take_hits_again()
    for hit in a_burst(1, at=LATER):
        split.keep(hit)
        split.keeper.tend()
        split.keeper.tend()
    split.tend()
    split.desk.with_registry(lambda registry: split.desk.docket.judge_up_to(registry, 2))
    first = split.desk.rules()

    split.desk.judge()

    assert ["burst"] == first
    assert ["burst"] * 3 == split.desk.rules()


def test_the_process_dies_with_a_part_in_the_journal(split: Split) -> None:
    """The next one finds the file before it judges."""
    first, second, third = a_burst(1)
    split.keep(first, second)
    with split.locked():
        split.keep(third)
        split.keeper.close()
        split.keeper = split.make_keeper()
        split.keeper.tend()
        split.desk.judge()
        meanwhile = split.desk.events()
    split.tend()

    split.desk.judge()

    assert [] == meanwhile
    assert ["burst"] * 3 == split.desk.rules()


def test_nobody_waits_for_a_journal_that_cannot_be_read(split: Split) -> None:
    """It may never be: what is stored is judged without it."""
    split.keep(a_hit(1))
    with split.locked():
        split.keep(a_hit(2, link_index=1))
    [path] = split.journal.files()
    path.write_bytes(b"")
    split.take_hits_again()
    path.unlink()
    path.mkdir()
    split.keeper.tend()

    split.desk.judge()

    assert [1] == split.desk.events()
