"""The recorder of hits: on disk before anybody is told, a thousand as cheap as one."""

import logging
import threading
from collections.abc import Sequence
from contextlib import closing

import pytest

from openclick.hits import Hit
from openclick.settings import StoreSettings
from openclick.store import HitLog, Store, StoreCorrupt
from openclick.store.faults import Place
from openclick_sidecar.keeper import keeper_for
from openclick_sidecar.recorder import HitRecorder
from unit.samples import NOW, a_hit
from unit.turns import Turns


@pytest.fixture
def turns() -> Turns:
    """Return the thread on which answers are told."""
    return Turns()


@pytest.fixture
def recorder(store: Store, turns: Turns) -> HitRecorder:
    """Return a recorder that is not started yet."""
    return HitRecorder(keeper_for(store, StoreSettings(), lambda: 30), turns)


def hits_place(store: Store) -> Place:
    """Return which file hits.db is."""
    status = (store.directory / "hits.db").stat()
    return Place(status.st_dev, status.st_ino)


def on_disk(store: Store) -> list[Hit]:
    """Return the hits in the file."""
    with closing(store.hit_reader()) as reader:
        return [hit for _, hit in reader.many_after(0, 10_000, 10_000)]


def test_told_when_on_disk(store: Store, turns: Turns, recorder: HitRecorder) -> None:
    """True means that a reader of the file finds it."""
    told: list[tuple[bool, list[Hit]]] = []
    recorder.start()

    recorder.record(a_hit(1), lambda recorded: told.append((recorded, on_disk(store))))
    turns.wait()
    recorder.stop()

    assert [(True, [a_hit(1)])] == told
    assert (1, 0) == (recorder.recorded, recorder.lost)


def test_told_on_the_reactors_thread(turns: Turns, recorder: HitRecorder) -> None:
    """Answers are written where Twisted's transports live."""
    threads: list[threading.Thread] = []
    recorder.start()

    recorder.record(a_hit(), lambda _: threads.append(threading.current_thread()))
    turns.wait()
    recorder.stop()

    assert [threading.current_thread()] == threads


def test_what_came_meanwhile_is_one_commit(
    store: Store, turns: Turns, recorder: HitRecorder
) -> None:
    """Group commit without a timer: one call tells all of a batch, in order."""
    told: list[int] = []
    for number in range(500):
        recorder.record(a_hit(number), lambda _, number=number: told.append(number))
    recorder.start()

    turns.wait()
    recorder.stop()

    assert list(range(500)) == told
    assert [a_hit(number) for number in range(500)] == on_disk(store)


def test_stop_writes_what_waits(store: Store, turns: Turns, recorder: HitRecorder) -> None:
    """An orderly end loses nothing that was handed over."""
    told: list[bool] = []
    recorder.record(a_hit(), told.append)
    recorder.start()

    recorder.stop()
    turns.run()

    assert [True] == told
    assert [a_hit()] == on_disk(store)


def test_stop_without_a_hit_makes_no_file(store: Store, recorder: HitRecorder) -> None:
    """Nothing is opened before it is needed."""
    recorder.start()
    recorder.stop()

    assert [] == list(store.directory.iterdir())


def test_a_store_that_cannot_take_it(
    store: Store, turns: Turns, recorder: HitRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    """True is told all the same: the hit is in the journal; one line says why."""
    (store.directory / "hits.db").mkdir()
    told: list[bool] = []
    recorder.start()
    with caplog.at_level(logging.ERROR):
        recorder.record(a_hit(1), told.append)
        turns.wait()
    recorder.stop()

    assert [True] == told
    assert (1, 0) == (recorder.recorded, recorder.lost)
    assert 1 == len(caplog.messages)
    assert caplog.messages[0].startswith("hits: go to the journal reason=")


def test_what_is_not_stored_yet(
    store: Store, turns: Turns, recorder: HitRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the hand-over until the commit has returned, however long the disk takes."""
    hangs, goes_on = threading.Event(), threading.Event()
    append = HitLog.append

    def slow_append(log: HitLog, hits: Sequence[Hit]) -> None:
        hangs.set()
        goes_on.wait(10)
        append(log, hits)

    monkeypatch.setattr(HitLog, "append", slow_append)
    told: list[bool] = []
    instants = [recorder.first_unstored_at]
    recorder.record(a_hit(1), told.append)
    instants.append(recorder.first_unstored_at)
    recorder.start()
    hangs.wait(10)
    recorder.record(a_hit(2), told.append)
    instants.append(recorder.first_unstored_at)

    goes_on.set()
    recorder.stop()
    turns.run()

    assert [None, NOW + 1, NOW + 1] == instants
    assert recorder.first_unstored_at is None
    assert [a_hit(1), a_hit(2)] == on_disk(store)


def test_what_is_in_the_journal_is_not_stored_yet(
    store: Store, turns: Turns, recorder: HitRecorder
) -> None:
    """It is answered, and the judge has to wait for it."""
    (store.directory / "hits.db").mkdir()
    recorder.start()

    recorder.record(a_hit(1), lambda _: None)
    turns.wait()
    recorder.stop()

    assert recorder.first_unstored_at == NOW + 1


def test_neither_store_nor_journal(
    store: Store, turns: Turns, recorder: HitRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    """False is told, the loss is counted, and one line says why."""
    (store.directory / "hits.db").mkdir()
    (store.directory / "journal").write_bytes(b"in the way")
    told: list[bool] = []
    recorder.start()

    recorder.record(a_hit(1), told.append)
    turns.wait()
    recorder.stop()

    assert [False] == told
    assert (0, 1) == (recorder.recorded, recorder.lost)
    assert caplog.messages[-1].startswith("hits: answered but not recorded hits=1 reason=")


def test_a_corrupt_file_is_set_aside_when_the_judge_finds_it(
    store: Store, turns: Turns, recorder: HitRecorder
) -> None:
    """Old rows that are damaged do not disturb writing; the judge, who reads them, tells."""
    told: list[bool] = []
    recorder.start()
    recorder.record(a_hit(1), told.append)
    turns.wait()

    recorder.distrust(StoreCorrupt(store.directory / "hits.db", hits_place(store), "damaged"))
    recorder.record(a_hit(2), told.append)
    turns.wait()
    recorder.stop()

    assert [True, True] == told
    assert 1 == len([*store.directory.glob("hits.db.corrupt-*Z")])
    assert {a_hit(1).hit_id, a_hit(2).hit_id} == {hit.hit_id for hit in on_disk(store)}


def test_what_waits_is_counted(turns: Turns, recorder: HitRecorder) -> None:
    """So that whoever reads requests can pause in time."""
    for number in range(3):
        recorder.record(a_hit(number), lambda _: None)
    before = recorder.waiting
    recorder.start()
    turns.wait()
    recorder.stop()

    assert (3, 0) == (before, recorder.waiting)


def test_a_fault_of_ours_loses_a_hit_and_not_the_thread(
    store: Store, turns: Turns, recorder: HitRecorder
) -> None:
    """Whatever a hit holds, those who wait are told, and its neighbours are recorded."""
    told: list[bool] = []

    recorder.record(a_hit(1, user_agent="\ud800"), told.append)  # cannot be written as UTF-8
    recorder.record(a_hit(2), told.append)
    recorder.start()
    recorder.stop()
    turns.run()

    assert [False, True] == told
    assert [a_hit(2)] == on_disk(store)
    assert (1, 1) == (recorder.recorded, recorder.lost)


def test_one_clients_fault_is_not_its_neighbours(
    turns: Turns, recorder: HitRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    """An answer that fails leaves the rest of the batch answered."""
    told: list[bool] = []

    def fail(_recorded: bool) -> None:
        raise ConnectionError("gone")

    recorder.record(a_hit(1), fail)
    recorder.record(a_hit(2), told.append)
    recorder.start()
    turns.wait()
    recorder.stop()

    assert [True] == told
    assert ["hits: internal error while answering"] == caplog.messages


def test_hits_from_a_connection_that_outlives_the_recorder(
    store: Store, turns: Turns, recorder: HitRecorder
) -> None:
    """After the end nothing can be recorded; the reader is answered, and the loss is counted."""
    told: list[bool] = []
    recorder.start()
    recorder.stop()

    recorder.record(a_hit(), told.append)
    turns.run()

    assert [False] == told
    assert recorder.lost == 1
