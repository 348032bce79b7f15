"""The judge's cursor over files that come and go: no hit lost or skipped, no event id used twice.

Each case is a thing that an admin does to the store's files; real files, moved about as he would.
"""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from openclick.store import Store, StoreFault, open_store
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.judge import Judge
from openclick_sidecar.judging import Docket
from openclick_sidecar.rules import packaged_rules
from unit.samples import NOW, a_hit, a_message

DAYS_LATER = NOW + 10**15


class Desk:
    """One store and the judge's work on it, as the running sidecar has both."""

    def __init__(self, directory: Path) -> None:
        self.store: Store = open_store(f"sqlite:{directory}")
        self.docket = Docket(self.store, Judge(packaged_rules()), lambda: NOW, lambda _fault: None)
        # Its thread is not started: work is done in ours.
        self.bookkeeper = Bookkeeper(self.store, None)
        with closing(self.store.message_log()) as log:
            log.record([a_message()])

    def put(self, *numbers: int) -> None:
        """Write hits, as the recorder does."""
        with closing(self.store.hit_log()) as log:
            log.append([a_hit(number) for number in numbers])

    def judge(self) -> None:
        """Judge all there is, as the service does tick by tick."""
        run = self.bookkeeper._with_registry
        newest = run(self.docket.newest).position
        while run(lambda registry: self.docket.judge_up_to(registry, newest)):
            pass

    def events(self) -> list[int]:
        """Return the numbers of the hits whose events are in the log, in its order."""
        logged = self.bookkeeper._with_registry(lambda r: r.events.many_after(0, 10_000))
        return [int(entry.event.event_id.removeprefix("evt_"), 16) for entry in logged]

    def back_up(self, name: str) -> Path:
        """Copy a file whose writers are at rest, and its companions, as a file back-up does."""
        aside = self.store.directory / "back-up" / name
        aside.parent.mkdir(exist_ok=True)
        for path in self.store.directory.glob(f"{name}*"):
            if path.is_file():
                shutil.copy(path, aside.parent)
        return aside

    def put_back(self, back_up: Path) -> None:
        """Replace a file by its back-up, under the sidecar's feet."""
        self.remove(back_up.name)
        for path in back_up.parent.glob(f"{back_up.name}*"):
            shutil.copy(path, self.store.directory)

    def remove(self, name: str) -> None:
        """Delete a file and its companions."""
        for path in self.store.directory.glob(f"{name}*"):
            path.unlink()

    def sweep(self) -> None:
        """Have retention remove every hit that it may."""
        with closing(self.store.hit_log()) as log:
            log.sweep(DAYS_LATER, self.store.judge_cursor(), 10_000)

    def rows(self) -> list[int]:
        """Return the numbers of the hits in hits.db."""
        with closing(self.store.hit_reader()) as reader:
            found = reader.many_after(0, 10_000, 10_000)
        return [int.from_bytes(hit.hit_id, "big") for _, hit in found]

    def close(self) -> None:
        """Close what is open."""
        self.docket.close()
        self.bookkeeper._close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Return a desk without a hit."""
    made = Desk(tmp_path)
    yield made
    made.close()


def test_retention_removed_rows(desk: Desk) -> None:
    """The cursor's own row stays, and from there the judge goes on."""
    desk.put(1, 2, 3)
    desk.judge()
    desk.sweep()
    left = desk.rows()
    desk.put(4)

    desk.judge()

    assert [3] == left
    assert [1, 2, 3, 4] == desk.events()


def test_an_older_registry_is_put_back(desk: Desk) -> None:
    """Its cursor is older: what was judged since is judged again, and gets the same event ids."""
    desk.put(1, 2)
    desk.judge()
    back_up = desk.back_up("openclick.db")
    desk.put(3, 4)
    desk.judge()
    before = desk.events()
    desk.put_back(back_up)
    restored = desk.events()
    desk.put(5)

    desk.judge()

    assert [1, 2, 3, 4] == before
    assert [1, 2] == restored
    assert [1, 2, 3, 4, 5] == desk.events()


def test_an_older_registry_after_retention(desk: Desk) -> None:
    """The row at its cursor is gone: reading starts over, and what is judged is skipped."""
    desk.put(1, 2)
    desk.judge()
    back_up = desk.back_up("openclick.db")
    desk.put(3, 4)
    desk.judge()
    desk.sweep()
    left = desk.rows()
    desk.put_back(back_up)
    desk.put(5)

    desk.judge()

    assert [4] == left
    assert [1, 2, 4, 5] == desk.events()


def test_a_new_hits_file(desk: Desk) -> None:
    """Deleted, or set aside: its places count from 1 again, below the cursor."""
    desk.put(1, 2, 3)
    desk.judge()
    desk.remove("hits.db")
    desk.put(4, 5)

    desk.judge()

    assert [1, 2, 3, 4, 5] == desk.events()


def test_a_new_hits_file_that_has_grown_beyond_the_cursor(desk: Desk) -> None:
    """The file id tells, whatever the numbers say."""
    desk.put(1, 2)
    desk.judge()
    desk.remove("hits.db")
    desk.put(11, 12, 13, 14)

    desk.judge()

    assert [1, 2, 11, 12, 13, 14] == desk.events()


@pytest.mark.parametrize("new", [1, 2, 3, 7])
def test_an_older_hits_file_takes_new_hits(desk: Desk, new: int) -> None:
    """Same file id, same positions again for other hits: fewer, as many and more than before."""
    desk.put(1, 2)
    back_up = desk.back_up("hits.db")
    desk.put(3, 4)
    desk.judge()
    desk.put_back(back_up)
    fresh = [100 + number for number in range(new)]
    desk.put(*fresh)

    desk.judge()

    assert [1, 2, 3, 4, *fresh] == desk.events()


def test_an_older_hits_file_that_held_more_than_was_judged(desk: Desk) -> None:
    """Hits that wait in it are judged once, with those that came after."""
    desk.put(1, 2, 3)
    back_up = desk.back_up("hits.db")
    desk.judge()
    desk.put(4)
    desk.judge()
    desk.put_back(back_up)
    desk.put(5)

    desk.judge()
    desk.judge()

    assert [1, 2, 3, 4, 5] == desk.events()


def test_both_files_of_one_back_up(desk: Desk) -> None:
    """openclick.db was copied first, so hits.db knows as much or more."""
    desk.put(1)
    desk.judge()
    registry = desk.back_up("openclick.db")
    desk.put(2)
    hits = desk.back_up("hits.db")
    desk.put(3)
    desk.judge()
    desk.put_back(registry)
    desk.put_back(hits)
    desk.put(4)

    desk.judge()

    assert [1, 2, 4] == desk.events()


def test_a_hit_that_stands_there_twice(desk: Desk) -> None:
    """Salvaged, or replayed into another file: it counts once."""
    desk.put(1, 2)
    desk.judge()
    desk.put(2, 1, 3, 3)

    desk.judge()

    assert [1, 2, 3] == desk.events()


def test_hits_are_gone_between_two_ticks(desk: Desk) -> None:
    """No file: a fault that makes the judge wait, not an end."""
    desk.put(1)
    desk.judge()
    desk.put(2)
    newest = desk.bookkeeper._with_registry(desk.docket.newest).position
    desk.remove("hits.db")

    with pytest.raises(StoreFault, match="there is no such file"):
        desk.bookkeeper._with_registry(lambda r: desk.docket.judge_up_to(r, newest))
    desk.put(3)
    desk.judge()

    assert [1, 3] == desk.events()
