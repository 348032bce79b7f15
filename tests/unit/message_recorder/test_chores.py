"""What the writing thread does beside rows, and what it leaves to its successor."""

import contextlib
import logging
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from openclick.ids import new_email_id
from openclick.instants import SECOND
from openclick.store import Store, open_store
from openclick_milter.counters import Counters
from openclick_milter.housekeeping import Housekeeping
from openclick_milter.recorder import MessageRecorder, NotRecorded
from support.processes import wait_until
from unit.message_recorder.written_rows import on_disk, row
from unit.samples import COPY, NOW, a_message


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
