"""hits.db: every hit as it was, in order, in one commit a batch."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclick.hits import Click
from openclick.store import HitLog, HitReader, Store, StoreFault, open_store
from unit.samples import NOW, a_hit, an_open


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty store."""
    return open_store(f"sqlite:{tmp_path}")


@pytest.fixture
def log(store: Store) -> Iterator[HitLog]:
    """Return the writing side."""
    with closing(store.hit_log()) as opened:
        yield opened


@pytest.fixture
def reader(log: HitLog, store: Store) -> Iterator[HitReader]:
    """Return the reading side of the same file."""
    with closing(store.hit_reader()) as opened:
        yield opened


def test_hits_come_back_as_they_were(log: HitLog, reader: HitReader) -> None:
    """Every field, with places that count from 1."""
    log.append([a_hit(1), an_open(2, headers={})])

    assert [(1, a_hit(1)), (2, an_open(2, headers={}))] == reader.many_after(0, 10, 10)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.text(), st.text(), st.dictionaries(st.text(), st.text(st.characters()), max_size=3))
def test_any_text_comes_back(
    log: HitLog, reader: HitReader, destination: str, user_agent: str, headers: dict[str, str]
) -> None:
    """NUL, quotes, emoji: a stranger's bytes break nothing."""
    hit = a_hit(destination=destination, user_agent=user_agent, headers=headers)

    log.append([hit])

    last = reader.last_position()
    assert [(last, hit)] == reader.many_after(last - 1, last, 1)


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 700])
def test_batches_of_any_size_keep_their_order(log: HitLog, reader: HitReader, size: int) -> None:
    """However a batch is cut into statements."""
    hits = [a_hit(number) for number in range(size)]

    log.append(hits)

    assert list(enumerate(hits, start=1)) == reader.many_after(0, size, size)


def test_a_batch_is_one_commit(log: HitLog, reader: HitReader) -> None:
    """Where one hit cannot be written none of the batch is: the whole batch goes elsewhere."""
    hits = [a_hit(number) for number in range(300)]

    with pytest.raises(StoreFault):
        log.append([*hits, a_hit(ip=None)])

    assert reader.last_position() == 0


def test_reading_in_pieces(log: HitLog, reader: HitReader) -> None:
    """After a place, not beyond another, at most so many."""
    log.append([a_hit(number) for number in range(1, 11)])

    assert [4, 5] == [place for place, _ in reader.many_after(3, 5, 10)]
    assert [4, 5, 6] == [place for place, _ in reader.many_after(3, 10, 3)]
    assert [] == reader.many_after(10, 20, 10)
    assert reader.last_position() == 10


def test_places_are_never_used_twice(store: Store, log: HitLog, reader: HitReader) -> None:
    """Retention removes rows, the cursor goes on (AUTOINCREMENT)."""
    log.append([a_hit(1), a_hit(2)])
    with log._database.transaction() as connection:
        connection.execute("DELETE FROM hits")

    log.append([a_hit(3)])

    assert reader.last_position() == 3


def test_a_file_has_a_random_name_of_its_own(tmp_path: Path) -> None:
    """So that a cursor notices another file in its place."""
    names = set()
    for directory in ("a", "b"):
        (tmp_path / directory).mkdir()
        store = open_store(f"sqlite:{tmp_path / directory}")
        for _ in range(2):
            store.hit_log().close()
            with closing(store.hit_reader()) as opened:
                names.add(opened.file_id())

    assert 2 == len(names)
    assert all(len(name) == 32 for name in names)


def test_a_locked_file_is_given_up_soon(store: Store, log: HitLog) -> None:
    """A reader waits for his page: 250 ms, then the fault (DESIGN 5)."""
    with (
        closing(store.hit_log()) as other,
        log._database.transaction(),
        pytest.raises(StoreFault, match=r"hits\.db: database is locked"),
    ):
        other.append([a_hit()])


# --- What bursts are found by


def clicks_around(reader: HitReader, position: int, since: int, until: int) -> list[list[int]]:
    """Return the places of the clicks before and after `position`."""
    return [
        [click.position for click in find(position, since, until, 100)]
        for find in (reader.clicks_before, reader.clicks_after)
    ]


def test_clicks_around_a_place(log: HitLog, reader: HitReader) -> None:
    """Nearest first, without opens and without the place itself."""
    log.append([a_hit(1), an_open(2), a_hit(3), a_hit(4), an_open(5), a_hit(6)])

    assert [[3, 1], [6]] == clicks_around(reader, 4, 0, NOW * 2)


def test_clicks_within_a_time(log: HitLog, reader: HitReader) -> None:
    """The first hit outside of it, an open too, ends the search: what lies behind is not read."""
    instants = [100, 5, 100, 100, 100, 200, 100]
    log.append([a_hit(n, received_at=at) for n, at in enumerate(instants)])
    log.append([an_open(20, received_at=900), a_hit(21, received_at=100)])

    assert [[3], [5]] == clicks_around(reader, 4, 50, 150)
    assert [[3], [5, 6, 7]] == clicks_around(reader, 4, 50, 250)


def test_no_more_hits_are_looked_at_than_asked(log: HitLog, reader: HitReader) -> None:
    """Opens count as looked at: a flood of them costs no more."""
    log.append([a_hit(1), *(an_open(n) for n in range(2, 10)), a_hit(10)])

    assert [] == reader.clicks_before(10, 0, NOW * 2, 8)
    assert [1] == [click.position for click in reader.clicks_before(10, 0, NOW * 2, 9)]


def test_a_click_as_it_was(log: HitLog, reader: HitReader) -> None:
    """What tells whether it belongs to a burst."""
    hit = a_hit(7, link_index=3)
    log.append([hit])

    assert [Click(1, hit.received_at, hit.email_id, hit.copy, 3, hit.ip)] == reader.clicks_after(
        0, 0, NOW * 2, 10
    )
