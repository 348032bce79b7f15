"""The milter's chores: heartbeat, and the sweep of old rows."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclick.ids import new_email_id
from openclick.instants import SECOND, Instant
from openclick.messages import Message, Outcome
from openclick.store import MessageLog, Store
from openclick_milter.counters import Counters
from openclick_milter.housekeeping import Housekeeping

DAY = 86_400 * SECOND
NOW: Instant = 1_795_000_000 * SECOND


def row(created_at: Instant, number: int = 0) -> Message:
    """Return a row made at an instant."""
    return Message(
        email_id=new_email_id(created_at, number.to_bytes(10, "big")),
        copy=b"copy",
        created_at=created_at,
        outcome=Outcome.UNTOUCHED,
        reason="no HTML part",
        queue_id=f"Q{number}",
        message_id=None,
        envelope_id=None,
        sender="",
        header_from=None,
        recipients=(),
        subject=None,
        sending_domain="a.example",
        tracking_domain="track.a.example",
        opens=False,
        opens_reason="",
        clicks=False,
        clicks_reason="",
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Give an empty store."""
    return Store(tmp_path)


@pytest.fixture
def log(store: Store) -> Iterator[MessageLog]:
    """Give its message log, open to write."""
    opened = store.message_log()
    yield opened
    opened.close()


def chores(counters: Counters, days: int = 400) -> Housekeeping:
    """Return the chores of a milter that began a minute ago."""
    return Housekeeping(counters, lambda: days, lambda: NOW, NOW - 60 * SECOND)


def test_heartbeat_is_one_row(store: Store, log: MessageLog) -> None:
    """Two beats leave one row: the last one, with the counts since the start."""
    counters = Counters()
    counters.add("instrumented", 2)
    chores(counters).beat(log)
    counters.add("instrumented")

    chores(counters).beat(log)
    reader = store.message_reader()
    beat = reader.maybe_heartbeat()
    reader.close()

    assert beat is not None
    assert (os.getpid(), NOW, NOW - 60 * SECOND) == (beat.pid, beat.beat_at, beat.started_at)
    assert {"instrumented": 3} == beat.counters


def test_old_rows_go_and_young_ones_stay(store: Store, log: MessageLog) -> None:
    """Rows older than messages_days are removed, the boundary itself is kept."""
    ages = {"old": 401 * DAY, "edge": 400 * DAY, "young": DAY}
    log.record([row(NOW - age, number) for number, age in enumerate(ages.values())])

    chores(Counters()).sweep(log)
    reader = store.message_reader()
    left = [bool(reader.many_by_queue_id(f"Q{number}")) for number in range(3)]
    reader.close()

    assert [False, True, True] == left


def test_a_sweep_goes_in_small_steps(log: MessageLog) -> None:
    """One step removes a bounded number of rows, and says whether there may be more."""
    log.record([row(NOW - 500 * DAY, number) for number in range(500)])
    sweeper = chores(Counters())

    steps = [sweeper.sweep(log) for _ in range(4)]

    assert [True, True, False, False] == steps


def test_a_step_takes_what_it_is_told(log: MessageLog) -> None:
    """The store removes at most so many rows, and returns how many there were."""
    log.record([row(NOW - 500 * DAY, number) for number in range(1200)])

    steps = [log.sweep(NOW - 400 * DAY, 500) for _ in range(4)]

    assert [500, 500, 200, 0] == steps
