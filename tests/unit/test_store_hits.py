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

ALWAYS = (0, NOW * 2)


def places(clicks: list[Click]) -> list[int]:
    """Return where clicks stand."""
    return [click.position for click in clicks]


def test_clicks_after_a_place(log: HitLog, reader: HitReader) -> None:
    """Nearest first, without opens and without the place itself."""
    log.append([a_hit(1), an_open(2), a_hit(3), a_hit(4), an_open(5), a_hit(6)])

    assert [3, 4, 6] == places(reader.clicks_after(1, ALWAYS, 100))


def test_clicks_within_a_time(log: HitLog, reader: HitReader) -> None:
    """The first hit outside of it, an open too, ends the search: what lies behind is not read."""
    instants = [100, 100, 200, 100]
    log.append([a_hit(n, received_at=at) for n, at in enumerate(instants)])
    log.append([an_open(20, received_at=900), a_hit(21, received_at=100)])

    assert [2] == places(reader.clicks_after(1, (50, 150), 100))
    assert [2, 3, 4] == places(reader.clicks_after(1, (50, 250), 100))


def test_no_more_hits_are_looked_at_than_asked(log: HitLog, reader: HitReader) -> None:
    """Opens count as looked at: a flood of them costs no more."""
    log.append([*(an_open(n) for n in range(1, 10)), a_hit(10)])

    assert [] == reader.clicks_after(1, ALWAYS, 8)
    assert [10] == places(reader.clicks_after(1, ALWAYS, 9))


def test_a_click_as_it_was(log: HitLog, reader: HitReader) -> None:
    """What tells whether it belongs to a burst."""
    hit = a_hit(7, link_index=3)
    log.append([hit])

    assert [Click(1, hit.received_at, hit.email_id, hit.copy, 3, hit.ip)] == reader.clicks_after(
        0, ALWAYS, 10
    )


def put_runs(log: HitLog) -> None:
    """Write hits of about 1,000, and between them two runs of about 100 and of about 200."""
    log.append([a_hit(1, received_at=1000)])
    log.append_replayed([a_hit(n, received_at=100 + n) for n in range(2, 5)], "a", 1)
    log.append([a_hit(5, received_at=1005), an_open(6, received_at=1006)])
    log.append_replayed([a_hit(n, received_at=200 + n) for n in range(7, 9)], "a", 2)
    log.append([a_hit(9, received_at=1009)])


def test_what_a_journal_gave_back_is_stepped_over(log: HitLog, reader: HitReader) -> None:
    """It neither ends the search nor counts as looked at."""
    put_runs(log)

    assert [5, 9] == places(reader.clicks_after(1, (900, 1100), 3))
    assert [5] == places(reader.clicks_after(1, (900, 1100), 2))
    assert [9] == places(reader.clicks_after(7, (900, 1100), 100))


def test_displaced_clicks(log: HitLog, reader: HitReader) -> None:
    """What a journal gave back is found by its instants, after a place."""
    put_runs(log)

    assert [2, 3, 4] == places(reader.displaced_clicks(1, [(90, 110)], 100))
    assert [4] == places(reader.displaced_clicks(3, [(90, 110)], 100))
    assert [] == reader.displaced_clicks(4, [(90, 110)], 100)
    assert [7, 8] == places(reader.displaced_clicks(0, [(0, 50), (208, 300)], 100))
    assert [] == reader.displaced_clicks(0, [(0, 50), (110, 150), (900, 1100)], 100)
    assert [2, 3] == places(reader.displaced_clicks(0, [(0, 900)], 2))


def test_runs_go_with_their_hits(log: HitLog, reader: HitReader) -> None:
    """What retention removed is not looked for any more; the rest is."""
    put_runs(log)

    log.sweep(2000, reader.place(9), 4)

    with log._database.reading() as connection:
        runs = connection.execute("SELECT * FROM displaced").fetchall()
    assert [(7, 8, 207, 208)] == [tuple(run) for run in runs]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 4)), min_size=1, max_size=12), st.data())
def test_hits_in_order_are_found_among_any_runs(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[bool, int]], data: st.DataObject
) -> None:
    """However steps of a replay and batches of the recorder follow one another."""
    store = open_store(f"sqlite:{tmp_path_factory.mktemp('runs')}")
    in_order, displaced, last = list[int](), list[int](), 0
    with closing(store.hit_log()) as log:
        for is_replayed, size in batches:
            taken = range(last + 1, last + size + 1)
            hits = [a_hit(n, received_at=(0 if is_replayed else 10_000) + n) for n in taken]
            if is_replayed:
                log.append_replayed(hits, "journal", last)
            else:
                log.append(hits)
            (displaced if is_replayed else in_order).extend(taken)
            last += size
    after = data.draw(st.integers(0, last))

    with closing(store.hit_reader()) as reader:
        found = places(reader.clicks_after(after, (10_000, 20_000), last + 1))
        given_back = places(reader.displaced_clicks(after, [(0, 9_999)], last))

    assert [place for place in in_order if place > after] == found
    assert [place for place in displaced if place > after] == given_back
