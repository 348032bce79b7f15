"""The milter's writer: a row is on disk when the wait ends, in its order, from any thread."""

import threading
import time

from openclick.messages import Outcome
from openclick.store import Store
from openclick_milter.recorder import MessageRecorder
from support.processes import wait_until
from unit.message_recorder.written_rows import on_disk, row


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


def test_the_last_word_on_a_row_holds(store: Store, recorder: MessageRecorder) -> None:
    """Rows are written in the order in which they were handed over."""
    recorder.record(row(1))
    recorder.record(row(1, outcome=Outcome.UNTOUCHED, reason="later")).wait(10)

    found = on_disk(store)
    assert found is not None
    assert found.reason == "later"
