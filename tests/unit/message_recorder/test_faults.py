"""A row that cannot be written: the submission hears why, and its neighbours do not suffer."""

import contextlib
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from openclick.free_space import FreeSpace
from openclick.ids import new_email_id
from openclick.instants import SECOND
from openclick.messages import Outcome
from openclick.store import MessageLog, NoRoom, Store, open_store
from openclick_milter import recorder as recorder_module
from openclick_milter.counters import Counters
from openclick_milter.housekeeping import Housekeeping
from openclick_milter.recorder import MessageRecorder, NotRecorded
from support.processes import wait_until
from unit.message_recorder.written_rows import on_disk, row
from unit.samples import NOW, a_message


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
