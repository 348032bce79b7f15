"""The milter's writer: a row is on disk when the wait ends, or it says "untouched"."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from openclick.free_space import FreeSpace
from openclick.ids import new_email_id
from openclick.instants import SECOND
from openclick.messages import Message, Outcome
from openclick.store import MessageLog, NoRoom, Store, open_store
from openclick_milter import recorder as recorder_module
from openclick_milter.counters import Counters
from openclick_milter.housekeeping import Housekeeping
from openclick_milter.recorder import MessageRecorder, NotRecorded
from support.processes import wait_until
from unit.samples import COPY, EMAIL_ID, NOW, a_message


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty store."""
    return open_store(f"sqlite:{tmp_path}")


@pytest.fixture
def idle(store: Store) -> MessageRecorder:
    """Return a recorder that is not started."""
    housekeeping = Housekeeping(Counters(), lambda: 400, lambda: NOW, NOW)
    return MessageRecorder(store, housekeeping, time.monotonic)


@pytest.fixture
def recorder(idle: MessageRecorder) -> Iterator[MessageRecorder]:
    """Return a recorder that runs, and is stopped at the end."""
    idle.start()
    yield idle
    idle.stop()


def row(number: int, **fields: object) -> Message:
    """Return row `number`."""
    return a_message(copy=number.to_bytes(4, "big"), **fields)


def on_disk(store: Store, number: int = 1) -> Message | None:
    """Return row `number` as a reader finds it."""
    with closing(store.message_reader()) as reader:
        return reader.maybe_message(EMAIL_ID, number.to_bytes(4, "big"))


def test_wait_ends_when_the_row_is_on_disk(store: Store, recorder: MessageRecorder) -> None:
    """Only then is the message changed (DESIGN 3.9)."""
    recorder.record(row(1)).wait(10)

    assert row(1) == on_disk(store)


def test_rows_from_many_threads(store: Store, recorder: MessageRecorder) -> None:
    """libmilter's threads share one connection and its commits."""
    missing: list[int] = []

    def submit(first: int) -> None:
        for number in range(first, first + 25):
            recorder.record(row(number)).wait(10)
            if on_disk(store, number) is None:
                missing.append(number)

    threads = [threading.Thread(target=submit, args=(first,)) for first in range(0, 200, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert [] == missing
    assert all(on_disk(store, number) for number in range(200))


def test_store_is_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The submission hears why; the log says it; once the store is there the next row is taken."""
    store = open_store(f"sqlite:{tmp_path}/later")
    housekeeping = Housekeeping(Counters(), lambda: 400, lambda: NOW, NOW)
    recorder = MessageRecorder(store, housekeeping, time.monotonic)
    recorder.start()
    with pytest.raises(NotRecorded, match=r"later/messages\.db: cannot be created: No such file"):
        recorder.record(row(1)).wait(10)
    store.directory.mkdir()

    recorder.record(row(2)).wait(10)
    recorder.stop()

    assert on_disk(store, 1) is None
    assert row(2) == on_disk(store, 2)
    assert any(
        text.startswith("store: message rows not written rows=1 ") for text in caplog.messages
    )


def test_a_corrupt_file_is_set_aside(
    store: Store, idle: MessageRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    """Mail is tracked again at once; what was in the file is kept under another name."""
    path = store.directory / "messages.db"
    path.write_bytes(b"no database" * 100)
    idle.start()

    idle.record(row(1)).wait(10)
    idle.stop()

    [aside] = store.directory.glob("messages.db.corrupt-*")
    assert row(1) == on_disk(store)
    assert b"no database" * 100 == aside.read_bytes()
    assert any(
        text.startswith(f"store: corrupt file set aside file={aside} ") for text in caplog.messages
    )


def test_a_deleted_file_is_noticed(store: Store, recorder: MessageRecorder) -> None:
    """SQLite would go on writing where nobody reads; the row is written into a new file."""
    recorder.record(row(1)).wait(10)
    for path in store.directory.glob("messages.db*"):
        path.unlink()

    recorder.record(row(2)).wait(10)

    assert row(2) == on_disk(store, 2)


def test_who_gives_up_leaves_an_untouched_row(store: Store, idle: MessageRecorder) -> None:
    """A row that commits after its mail went out as it came is corrected."""
    ticket = idle.record(row(1))
    with pytest.raises(NotRecorded, match="store too slow"):
        ticket.wait(0)

    idle.start()
    idle.stop()

    assert row(1, outcome=Outcome.UNTOUCHED, reason="store too slow", links=()) == on_disk(store)


def refuse_a_correction(store: Store, idle: MessageRecorder) -> None:
    """Start the recorder on a row that is given up; return when its correction was refused."""
    refused = threading.Event()
    room = iter([None, NoRoom("too little is free")])

    def require_room(_log: MessageLog) -> None:
        if fault := next(room, None):
            refused.set()
            raise fault

    idle._require_room = require_room
    store.message_log().close()
    with pytest.raises(NotRecorded, match="store too slow"):
        idle.record(row(1)).wait(0)
    idle.start()
    assert refused.wait(10)


def test_a_refused_correction_is_made_with_a_heartbeat(
    store: Store, idle: MessageRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row says "untouched" once the store takes rows again."""
    monkeypatch.setattr(recorder_module, "BEAT_SECONDS", 0.05)

    refuse_a_correction(store, idle)

    wait_until(lambda: getattr(on_disk(store), "reason", ""), 10, "the correction")
    idle.stop()
    assert row(1, outcome=Outcome.UNTOUCHED, reason="store too slow", links=()) == on_disk(store)


def test_a_refused_correction_is_made_at_the_end(store: Store, idle: MessageRecorder) -> None:
    """A retired recorder has no heartbeat any more, and ends before its successor."""
    idle.retire()

    refuse_a_correction(store, idle)
    idle.stop()

    assert row(1, outcome=Outcome.UNTOUCHED, reason="store too slow", links=()) == on_disk(store)


def test_who_waits_long_enough_is_not_corrected(store: Store, idle: MessageRecorder) -> None:
    """Settled before it gave up."""
    ticket = idle.record(row(1))
    idle.start()
    idle.stop()

    ticket.wait(0)

    assert row(1) == on_disk(store)


def test_nobody_has_to_wait(store: Store, recorder: MessageRecorder) -> None:
    """Untouched mail leaves its row and goes on; it is written soon, at the end at the latest."""
    recorder.record(row(0)).wait(10)

    recorder.leave(row(1))
    wait_until(lambda: on_disk(store, 1), 5, "the row, sooner than the next heartbeat")
    recorder.leave(row(2))
    wait_until(lambda: on_disk(store, 2), 5, "the next row, likewise")
    recorder.leave(row(3))
    recorder.stop()

    assert [row(1), row(2), row(3)] == [on_disk(store, number) for number in (1, 2, 3)]


def test_rows_that_lie_are_one_commit_with_those_that_somebody_waits_for(
    store: Store, recorder: MessageRecorder
) -> None:
    """In the order in which they were handed over, so that the last word on a row holds."""
    recorder.leave(row(1, reason="first"))
    recorder.leave(row(2))
    recorder.record(row(1, reason="second")).wait(10)

    assert (row(1, reason="second"), row(2)) == (on_disk(store, 1), on_disk(store, 2))


def test_no_row_is_forgotten_that_threads_leave_at_once(
    store: Store, recorder: MessageRecorder
) -> None:
    """Each is written without another one's help."""
    recorder.record(row(0)).wait(10)

    def leave(first: int) -> None:
        for number in range(first, first + 50):
            recorder.leave(row(number))
            time.sleep(0.002)

    threads = [threading.Thread(target=leave, args=(first,)) for first in range(0, 200, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    wait_until(lambda: all(on_disk(store, number) for number in range(200)), 5, "200 rows")


def test_one_bad_row_costs_no_neighbour(store: Store, idle: MessageRecorder) -> None:
    """Whatever is wrong with it: it alone is refused."""
    good, bad, other = (idle.record(r) for r in (row(1), row(2, subject="\ud800"), row(3)))
    idle.start()

    good.wait(10)
    other.wait(10)
    with pytest.raises(NotRecorded, match="internal error: UnicodeEncodeError"):
        bad.wait(10)
    idle.stop()

    assert (row(1), None, row(3)) == tuple(on_disk(store, number) for number in (1, 2, 3))


def test_the_last_word_on_a_row_holds(store: Store, recorder: MessageRecorder) -> None:
    """Rows are written in the order in which they were handed over."""
    recorder.record(row(1))
    recorder.record(row(1, outcome=Outcome.UNTOUCHED, reason="later")).wait(10)

    found = on_disk(store)
    assert found is not None
    assert found.reason == "later"


def test_too_many_rows_are_refused_at_once(idle: MessageRecorder) -> None:
    """Memory is bounded while the store stands still; the mail goes out untouched."""
    message = row(1)
    for _ in range(10_000):
        idle.record(message)

    with pytest.raises(NotRecorded, match="10000 rows are waiting for the store"):
        idle.record(message)


def test_a_locked_store_makes_nobody_wait_longer_than_he_will(
    store: Store, recorder: MessageRecorder
) -> None:
    """The deadline is the submission's own."""
    recorder.record(row(1)).wait(10)
    with closing(store.message_log()) as other, other._database.transaction():
        begun = time.monotonic()
        with pytest.raises(NotRecorded, match="store too slow"):
            recorder.record(row(2)).wait(0.05)
        waited = time.monotonic() - begun
    recorder.stop()

    assert waited < 2
    found = on_disk(store, 2)
    assert found is not None
    assert Outcome.UNTOUCHED is found.outcome


def test_the_heart_beats(store: Store, recorder: MessageRecorder) -> None:
    """The sidecar sees that a milter runs on this store."""
    recorder.record(row(1)).wait(10)
    recorder.stop()

    with closing(store.message_reader()) as reader:
        heartbeat = reader.maybe_heartbeat()
    assert heartbeat is not None
    assert NOW == heartbeat.beat_at


def test_a_sweep_keeps_up_with_any_rate_of_mail(store: Store, idle: MessageRecorder) -> None:
    """While there is more to remove, the next step does not wait for the next heartbeat."""
    old = NOW - 500 * 86_400 * SECOND
    email_ids = [new_email_id(old, number.to_bytes(10, "big")) for number in range(1000)]
    with closing(store.message_log()) as message_log:
        message_log.record([a_message(email_id=one, created_at=old) for one in email_ids])
        idle.start()
        with closing(store.message_reader()) as reader:
            wait_until(
                lambda: not any(reader.maybe_message(one, COPY) for one in email_ids),
                8,
                "the end of the old rows",
            )
        idle.stop()


def test_at_the_reserve_no_row_is_written(
    store: Store, idle: MessageRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    """As with any fault of the store the mail passes untouched; with room it is tracked again."""
    room = iter([NoRoom("too little is free"), None])

    def require_room(_log: MessageLog) -> None:
        if fault := next(room):
            raise fault

    idle._require_room = require_room
    idle.start()
    with pytest.raises(NotRecorded, match="too little is free"):
        idle.record(row(1)).wait(10)
    idle.record(row(2)).wait(10)
    idle.stop()

    assert on_disk(store, 1) is None
    assert on_disk(store, 2) == row(2)
    assert caplog.messages == ['store: message rows not written rows=1 reason="too little is free"']


def test_at_the_reserve_old_rows_make_room(store: Store) -> None:
    """They are removed all the same, and the room that they leave in the file is for new ones."""
    space = FreeSpace(store.directory, 10**18, time.monotonic)
    recorder = MessageRecorder(
        store,
        Housekeeping(Counters(), lambda: 400, lambda: NOW, NOW),
        time.monotonic,
        require_room=lambda message_log: space.require(message_log.spare_bytes),
    )
    old = NOW - 500 * 86_400 * SECOND
    email_ids = [new_email_id(old, number.to_bytes(10, "big")) for number in range(3000)]
    with closing(store.message_log()) as message_log:
        message_log.record(
            [a_message(email_id=one, created_at=old, subject="x" * 2000) for one in email_ids]
        )
    recorder.start()

    def recorded() -> bool:
        with contextlib.suppress(NotRecorded):
            recorder.record(row(1)).wait(10)
            return True
        return False

    refused = not recorded()
    wait_until(recorded, 20, "room in the file", 0.1)
    recorder.stop()

    assert refused
    assert on_disk(store) == row(1)


def test_a_retired_recorder_leaves_checkpoints_to_its_successor(
    store: Store, recorder: MessageRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    """Two processes must not race for them; rows are written all the same."""
    caplog.set_level(logging.WARNING)
    recorder.retire()

    recorder.record(row(1)).wait(10)

    assert row(1) == on_disk(store)
    assert 0 == checkpoint_pages(recorder)
    assert [] == caplog.messages


def test_a_recorder_that_stays_after_all_takes_them_back(recorder: MessageRecorder) -> None:
    """The successor has ended before it served."""
    recorder.retire()
    recorder.record(row(1)).wait(10)
    recorder.stay()

    recorder.record(row(2)).wait(10)

    assert 0 < checkpoint_pages(recorder)


def test_a_retired_recorder_does_no_chores(store: Store, idle: MessageRecorder) -> None:
    """The heartbeat is the successor's; two would tell of two processes in turn."""
    idle.retire()

    idle.start()
    idle.record(row(1)).wait(10)
    idle.stop()

    with closing(store.message_reader()) as reader:
        assert reader.maybe_heartbeat() is None


def checkpoint_pages(recorder: MessageRecorder) -> int:
    """Return after how many pages the recorder's connection makes a checkpoint; 0: never."""
    assert recorder._log is not None
    with recorder._log._database.reading() as connection:
        return int(connection.execute("PRAGMA wal_autocheckpoint").fetchone()[0])


def turn_twice(recorder: MessageRecorder) -> None:
    """Start a recorder, have it come round at least once with a row, and stop it."""
    recorder.start()
    for number in (1, 2):
        with contextlib.suppress(NotRecorded):
            recorder.record(row(number)).wait(10)
    recorder.stop()


def test_a_sign_of_life_for_the_watchdog(store: Store) -> None:
    """It is the writing thread's: systemd learns of a thread that hangs before a disk."""
    signs: list[str] = []
    housekeeping = Housekeeping(Counters(), lambda: 400, lambda: NOW, NOW)
    recorder = MessageRecorder(
        store,
        housekeeping,
        time.monotonic,
        alive=lambda: signs.append(threading.current_thread().name),
    )

    turn_twice(recorder)

    assert ["message-recorder"] == signs


def test_a_retired_recorder_gives_no_sign_of_life(store: Store) -> None:
    """After a hand-over the watchdog waits for the successor, whatever the old process does."""
    signs: list[bool] = []
    housekeeping = Housekeeping(Counters(), lambda: 400, lambda: NOW, NOW)
    recorder = MessageRecorder(
        store, housekeeping, time.monotonic, alive=lambda: signs.append(True)
    )
    recorder.retire()

    turn_twice(recorder)

    assert [] == signs


def test_a_store_fault_is_no_reason_for_the_watchdog(tmp_path: Path) -> None:
    """Mail passes untouched while the store is at fault; a restart would mend nothing."""
    signs: list[bool] = []
    housekeeping = Housekeeping(Counters(), lambda: 400, lambda: NOW, NOW)
    missing = open_store(f"sqlite:{tmp_path}/missing")
    recorder = MessageRecorder(
        missing, housekeeping, time.monotonic, alive=lambda: signs.append(True)
    )

    turn_twice(recorder)

    assert [True] == signs
