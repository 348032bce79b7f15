"""messages.db: one row a copy, replaced as a whole."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from openclick.ids import new_email_id
from openclick.instants import SECOND
from openclick.messages import Labels, Message, Outcome
from openclick.store import (
    Heartbeat,
    MessageLog,
    MessageReader,
    Store,
    StoreFault,
    StoreMoved,
)
from unit.samples import COPY, EMAIL_ID, NOW, a_message

DAY = 86_400 * SECOND


@pytest.fixture
def log(store: Store) -> Iterator[MessageLog]:
    """Return the writing side."""
    with closing(store.message_log()) as opened:
        yield opened


@pytest.fixture
def reader(log: MessageLog, store: Store) -> Iterator[MessageReader]:
    """Return the reading side of the same file."""
    with closing(store.message_reader()) as opened:
        yield opened


BARE = a_message(
    outcome=Outcome.UNTOUCHED,
    reason="no HTML part",
    message_id=None,
    envelope_id=None,
    header_from=None,
    recipients=(),
    subject=None,
    opens=False,
    labels=Labels(),
    headers={},
    links=(),
    image_reason="",
)
SPLIT = a_message(first_queue_id="4Xk2Q1y9", login="anna")


@pytest.mark.parametrize("message", [SPLIT, BARE], ids=["full", "bare"])
def test_a_row_comes_back_as_it_was(
    log: MessageLog, reader: MessageReader, message: Message
) -> None:
    """Every field, absent ones too."""
    log.record([message])

    assert message == reader.maybe_message(EMAIL_ID, COPY)


def test_no_row(reader: MessageReader) -> None:
    """None means that a successful read found nothing."""
    assert reader.maybe_message(EMAIL_ID, COPY) is None


def test_same_copy_is_replaced(log: MessageLog, reader: MessageReader) -> None:
    """A correction leaves one row."""
    log.record([a_message()])
    log.record([BARE])

    assert [BARE] == reader.many_by_queue_id("4Xk2Q1z0")


def test_copies_of_one_message_stand_apart(log: MessageLog, reader: MessageReader) -> None:
    """Several passes share an email id and each have a row, oldest first."""
    later = a_message(copy=b"late", created_at=a_message().created_at + 1)

    log.record([later, a_message()])

    assert [a_message(), later] == reader.many_by_queue_id("4Xk2Q1z0")
    assert [] == reader.many_by_queue_id("other")


def test_rows_are_found_by_each_of_their_names(log: MessageLog, reader: MessageReader) -> None:
    """Either pass's queue id, our id, the Message-ID: whatever the admin has in hand."""
    log.record([SPLIT])

    for found in (
        reader.many_by_queue_id("4Xk2Q1z0"),
        reader.many_by_queue_id("4Xk2Q1y9"),
        reader.many_by_email_id(EMAIL_ID),
        reader.many_by_message_id("<1@kontor.example>"),
    ):
        assert [SPLIT] == found


def test_heartbeat_is_one_row(log: MessageLog, reader: MessageReader) -> None:
    """The last one; None before the first."""
    before = reader.maybe_heartbeat()
    for beat_at in (NOW, NOW + 1):
        log.beat(Heartbeat(17, "1.0", NOW, beat_at, {"instrumented": 3}))

    assert before is None
    assert Heartbeat(17, "1.0", NOW, NOW + 1, {"instrumented": 3}) == reader.maybe_heartbeat()


def test_old_rows_are_swept_in_small_steps(log: MessageLog, reader: MessageReader) -> None:
    """The oldest first, never one that is young enough."""
    rows = [
        a_message(email_id=new_email_id(NOW + day * DAY, bytes(10)), created_at=NOW + day * DAY)
        for day in range(5)
    ]
    log.record(rows)

    steps = [log.sweep(NOW + 3 * DAY, 2) for _ in range(3)]

    assert [2, 1, 0] == steps
    assert rows[3:] == reader.many_by_queue_id("4Xk2Q1z0")


def test_rows_of_a_batch_are_written_together(log: MessageLog, reader: MessageReader) -> None:
    """All or none, so that a submission never hears of a row that is not there."""
    with pytest.raises(StoreFault):
        log.record([a_message(), a_message(copy=b"oops", sender=None)])

    assert reader.maybe_message(EMAIL_ID, COPY) is None


def test_a_row_younger_than_its_id_is_not_swept(log: MessageLog, reader: MessageReader) -> None:
    """A copy that waited between two passes has an email_id older than its row."""
    waited = a_message(email_id=new_email_id(NOW - 5 * DAY, bytes(10)), created_at=NOW)
    old = a_message(email_id=new_email_id(NOW - 4 * DAY, bytes(10)), created_at=NOW - 4 * DAY)
    log.record([waited, old])

    swept = [log.sweep(NOW - DAY, 1) for _ in range(2)]

    assert [1, 0] == swept
    assert [waited] == reader.many_by_queue_id("4Xk2Q1z0")


def test_a_file_that_is_deleted_at_the_commit_is_noticed(store: Store, log: MessageLog) -> None:
    """The row went into what nobody can find any more, so it is to be written again."""

    def delete(statement: str) -> None:
        if statement == "COMMIT":
            (store.directory / "messages.db").unlink()

    log._database._connection.set_trace_callback(delete)

    with pytest.raises(StoreMoved):
        log.record([a_message()])
