"""The keeper leaves room on the disk, and removes old hits, but none that may be unjudged."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from openclick.instants import SECOND
from openclick.store import JudgeCursor
from unit.keeper.keeper_world import World
from unit.samples import NOW, a_hit

DAY = 86_400 * SECOND
EVERYTHING = 10**18


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
