"""hits.db: every hit as it was, in order, in one commit a batch."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclick.store import HitLog, HitReader, Store, StoreFault, open_store
from unit.samples import a_hit, an_open


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
