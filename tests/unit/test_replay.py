"""From the journal into the store: every hit once, whenever the process dies."""

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from openclick.hits import Hit
from openclick.store import HitLog, Store, StoreFault, open_store
from openclick_sidecar.journal import Journal, encode
from openclick_sidecar.replay import Replay
from unit.journals import a_journal
from unit.samples import NOW, a_hit


@pytest.fixture
def journal(store: Store) -> Journal:
    """Return the journal beside it."""
    return a_journal(store.directory / "journal")


@pytest.fixture
def hit_log(store: Store) -> Iterator[HitLog]:
    """Return the store's writing side."""
    with closing(store.hit_log()) as opened:
        yield opened


def on_disk(store: Store) -> list[Hit]:
    """Return the hits in the store."""
    with closing(store.hit_reader()) as reader:
        return [hit for _, hit in reader.many_after(0, 10_000, 10_000)]


def begin(journal: Journal) -> Replay:
    """Return what a process that has just started would do with the journal."""
    replay = Replay(journal)
    replay.look()
    return replay


def finish(replay: Replay, hit_log: HitLog) -> None:
    """Take everything back."""
    while replay.pending:
        replay.step(hit_log)


def test_nothing_to_take_back(journal: Journal) -> None:
    """The usual case: no directory even."""
    assert not begin(journal).pending


def test_hits_come_back_with_their_ids(store: Store, journal: Journal, hit_log: HitLog) -> None:
    """In order, over several steps and files; then the files are gone."""
    hits = [a_hit(number) for number in range(600)]
    journal.append(hits[:500])
    journal.close_file()
    journal.append(hits[500:])
    journal.close_file()
    replay = begin(journal)

    finish(replay, hit_log)

    assert sorted(hits, key=str) == sorted(on_disk(store), key=str)
    assert [] == journal.files()
    assert (600, 0) == (replay.replayed, replay.unreadable)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_crash_between_steps_doubles_nothing(
    store: Store, journal: Journal, hit_log: HitLog, steps: int
) -> None:
    """The offset is committed with the rows: the next process goes on from there."""
    hits = [a_hit(number) for number in range(600)]
    journal.append(hits)
    journal.close_file()
    before = begin(journal)
    for _ in range(steps):
        before.step(hit_log)

    finish(begin(journal), hit_log)

    assert hits == on_disk(store)


def test_a_crash_before_the_file_is_removed_doubles_nothing(
    store: Store, journal: Journal, hit_log: HitLog
) -> None:
    """All rows are in, the file is still there: it is removed, and that is all."""
    journal.append([a_hit(1), a_hit(2)])
    journal.close_file()
    [path] = journal.files()
    content = path.read_bytes()
    hit_log.append_replayed([a_hit(1), a_hit(2)], path.name, len(content))

    finish(begin(journal), hit_log)

    assert [a_hit(1), a_hit(2)] == on_disk(store)
    assert [] == journal.files()


def test_a_step_that_fails_is_taken_again(store: Store, journal: Journal, hit_log: HitLog) -> None:
    """A store that is locked meanwhile costs nothing but time."""
    journal.append([a_hit(1)])
    journal.close_file()
    replay = begin(journal)
    with closing(store.hit_log()) as other, other._database.transaction():
        with pytest.raises(StoreFault):
            replay.step(hit_log)
        assert replay.pending

    finish(replay, hit_log)

    assert [a_hit(1)] == on_disk(store)


def test_a_new_store_takes_the_whole_file(tmp_path: Path, journal: Journal) -> None:
    """How far a file was read is known to the store that has its rows, and to no other."""
    journal.append([a_hit(number) for number in range(300)])
    journal.close_file()
    with closing(open_store(f"sqlite:{tmp_path}").hit_log()) as first:
        begin(journal).step(first)
    for path in tmp_path.glob("hits.db*"):
        path.unlink()

    with closing(open_store(f"sqlite:{tmp_path}").hit_log()) as second:
        finish(begin(journal), second)

    assert [a_hit(number) for number in range(300)] == on_disk(open_store(f"sqlite:{tmp_path}"))


def test_a_damaged_line_is_counted_and_said(
    store: Store, journal: Journal, hit_log: HitLog, caplog: pytest.LogCaptureFixture
) -> None:
    """It costs its own hit."""
    journal.append([a_hit(1), a_hit(2)])
    journal.close_file()
    [path] = journal.files()
    path.write_bytes(b"rubbish\n" + path.read_bytes())
    replay = begin(journal)

    finish(replay, hit_log)

    assert [a_hit(1), a_hit(2)] == on_disk(store)
    assert (2, 1) == (replay.replayed, replay.unreadable)
    assert [f"journal: damaged, hits lost file={path} hits=1"] == caplog.messages


def test_a_torn_end_is_not_worth_a_line(
    store: Store, journal: Journal, hit_log: HitLog, caplog: pytest.LogCaptureFixture
) -> None:
    """That hit was never answered."""
    caplog.set_level(logging.INFO)
    journal.append([a_hit(1)])
    journal.close_file()
    [path] = journal.files()
    path.write_bytes(path.read_bytes() + encode(a_hit(2))[:30])

    finish(begin(journal), hit_log)

    assert [a_hit(1)] == on_disk(store)
    assert [] == caplog.messages
    assert [] == journal.files()


def test_a_file_that_another_process_writes_is_left(
    store: Store, journal: Journal, hit_log: HitLog
) -> None:
    """Its process will take it back, or the next one."""
    journal.append([a_hit(1)])

    finish(begin(a_journal(journal.directory)), hit_log)

    assert [] == on_disk(store)
    assert 1 == len(journal.files())


def test_a_file_that_cannot_be_read_does_not_hold_up_the_next(
    store: Store, journal: Journal, hit_log: HitLog, caplog: pytest.LogCaptureFixture
) -> None:
    """One line names it, and it stays for the admin."""
    journal.append([a_hit(1)])
    journal.close_file()
    odd = journal.directory / "hits-00000000000000000000-00000000.v1.journal"
    odd.mkdir()

    finish(begin(journal), hit_log)

    assert [a_hit(1)] == on_disk(store)
    assert [f'journal: cannot be read file={odd} reason="Is a directory"'] == caplog.messages


# --- What the judge waits for


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (range(300), range(300, 400), [NOW, NOW + 255, NOW + 300, None]),
        (range(300, 400), range(300), [NOW, NOW, NOW + 255, None]),
    ],
    ids=["as time went", "the clock was set back"],
)
def test_how_far_the_journal_was_taken_back(
    journal: Journal, hit_log: HitLog, first: range, second: range, told: list[int | None]
) -> None:
    """`first_at` passes a hit only when that is in the store; at the end there is none."""
    for numbers, name in ((first, "1"), (second, "2")):
        journal.append([a_hit(number) for number in numbers])
        journal.close_file()
        [path] = [path for path in journal.files() if "of" not in path.name]
        path.rename(path.with_name(f"hits-{name}of2.v1.journal"))
    replay = begin(journal)
    instants = [replay.first_at]

    while replay.pending:
        replay.step(hit_log)
        instants.append(replay.first_at)

    assert told == instants


def test_hits_are_journaled_now(journal: Journal) -> None:
    """Those of a file that is still written, and of older files of another process, count."""
    replay = begin(journal)
    before = replay.first_at
    journal.append([a_hit(1), a_hit(2)])
    replay.note()
    first = replay.first_at
    journal.append([a_hit(3)])
    replay.note()

    assert (None, NOW + 1, NOW + 1) == (before, first, replay.first_at)


def test_a_journal_that_begins_with_damage(journal: Journal) -> None:
    """The next file that can be read tells; where none can, nobody waits."""
    journal.append([a_hit(1)])
    journal.close_file()
    [path] = journal.files()
    path.write_bytes(b"torn")

    nothing = begin(journal).first_at
    journal.append([a_hit(2)])

    assert (None, NOW + 2) == (nothing, begin(journal).first_at)


def test_a_file_that_cannot_be_read_any_more(
    journal: Journal, hit_log: HitLog, caplog: pytest.LogCaptureFixture
) -> None:
    """It stays, and is tried again later; nobody waits for it meanwhile."""
    journal.append([a_hit(1)])
    journal.close_file()
    replay = begin(journal)
    [path] = journal.files()
    path.unlink()
    path.mkdir()

    finish(replay, hit_log)

    assert replay.first_at is None
    assert "journal: cannot be read" in caplog.messages[0]
