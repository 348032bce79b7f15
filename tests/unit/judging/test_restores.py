"""The judge's cursor over files that come and go: no hit lost or skipped, no event id used twice.

Each case is a thing that an admin does to the store's files; real files, moved about as he would,
with few hits and with more than the judge takes in one step.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from openclick.store import StoreFault
from unit.judging.judging_desk import Desk, put_hits
from unit.samples import an_open


@pytest.fixture(params=[0, 1200], ids=["few", "many"])
def desk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Return a desk with few hits before those of the test, and with many."""
    made = Desk(tmp_path, strangers_first=request.param)
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
    """Its cursor is older: what was judged since is judged again, with the same event ids, at once.

    No hit has to come first.
    """
    desk.put(1, 2)
    desk.judge()
    back_up = desk.back_up("openclick.db")
    desk.put(3, 4)
    desk.judge()
    before = desk.events()
    desk.put_back(back_up)
    restored = desk.events()

    desk.tick()

    assert [1, 2, 3, 4] == before
    assert [1, 2] == restored
    assert [1, 2, 3, 4] == desk.events()


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

    desk.tick()

    assert [4] == left
    assert [1, 2, 4] == desk.events()


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

    desk.judge()

    assert [1, 2] == desk.events()


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
    newest = desk.with_registry(desk.docket.newest).position
    desk.remove("hits.db")

    with pytest.raises(StoreFault, match="there is no such file"):
        desk.with_registry(lambda registry: desk.docket.judge_up_to(registry, newest))
    desk.put(3)
    desk.judge()

    assert [1, 3] == desk.events()


def test_repeats_in_a_new_hits_file(desk: Desk) -> None:
    """Hits that were judged before are not counted again: what is new gets its event."""
    visits = [an_open(number) for number in range(1, 13)]
    put_hits(desk.store, *visits)
    desk.judge()
    rows = desk.hits()
    desk.remove("hits.db")
    put_hits(desk.store, *rows, an_open(50))

    desk.judge()

    assert [*range(1, 13), 50] == desk.events()
    assert ["no-rule"] * 13 == desk.rules()


def test_a_hit_that_stands_there_twice_is_no_repeat(desk: Desk) -> None:
    """Nor in one batch: nineteen visits and a twin are nineteen."""
    visits = [an_open(number) for number in range(1, 20)]
    put_hits(desk.store, *visits, visits[0], visits[1], an_open(50))

    desk.judge()

    assert ["no-rule"] * 20 == desk.rules()


def test_an_older_registry_then_a_new_hit(desk: Desk) -> None:
    """What was made anew is not made again when a hit comes."""
    desk.put(1)
    desk.judge()
    back_up = desk.back_up("openclick.db")
    desk.put(2)
    desk.judge()
    desk.put_back(back_up)
    desk.tick()
    desk.put(3)

    desk.judge()

    assert [1, 2, 3] == desk.events()


def test_no_registry_for_a_while(desk: Desk) -> None:
    """A file that is away is waited for; when it is back, what came meanwhile is judged."""
    desk.put(1)
    desk.judge()
    back_up = desk.back_up("openclick.db")
    desk.remove("openclick.db")
    desk.put(2)
    desk.judge()
    desk.put_back(back_up)

    desk.judge()

    assert [1, 2] == desk.events()
