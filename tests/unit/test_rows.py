"""Rows that were written earlier: asked for without making the mail wait for them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from openclick.settings import LinkSettings
from openclick.store import Store, open_store
from openclick.tokens import KeyRing
from openclick_milter.minter import TokenMinter
from openclick_milter.rows import MessageRows, comes_again
from unit.samples import COPY, EMAIL_ID, TRACKING_DOMAIN, a_message, key

MESSAGE_ID = "<1@kontor.example>"
RING = KeyRing({0: key(0)})


def minter(number: int = 0) -> TokenMinter:
    """Return the minter of copy `number`; copy 0 is the one that has a row."""
    copy = COPY if number == 0 else number.to_bytes(4, "big")
    return TokenMinter(RING, LinkSettings(), TRACKING_DOMAIN, EMAIL_ID, copy)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with one message row."""
    made = open_store(f"sqlite:{tmp_path}")
    with closing(made.message_log()) as log:
        log.record([a_message(message_id=MESSAGE_ID)])
    return made


@pytest.fixture
def rows(store: Store) -> Iterator[MessageRows]:
    """Return the reading side."""
    made = MessageRows(store)
    yield made
    made._close()


@pytest.mark.parametrize(
    ("message_id", "again"), [(MESSAGE_ID, True), ("<2@kontor.example>", False), (None, False)]
)
def test_the_message_id_tells(rows: MessageRows, message_id: str | None, again: bool) -> None:
    """Tokens whose row has the same Message-ID were made for this very mail."""
    urls = ["https://kontor.example/c/", minter(3).image_url(), minter().image_url()]

    found = comes_again(message_id, urls, minter(7), rows.maybe_message, lambda: None)

    assert again == found


def test_each_copy_is_asked_for_once(rows: MessageRows) -> None:
    """However many of its links a reply quotes."""
    asked = []

    def maybe_message(email_id: bytes, copy: bytes) -> None:
        asked.append(copy)

    urls = [
        url for url in minter(5).link_urls([(n, "https://a.example/") for n in range(9)]) if url
    ]

    comes_again(MESSAGE_ID, urls, minter(), maybe_message, lambda: None)

    assert [(5).to_bytes(4, "big")] == asked


def test_the_deadline_holds_between_two_rows(rows: MessageRows) -> None:
    """What the checkpoint raises passes through."""
    ticks = iter([None, None])

    with pytest.raises(StopIteration):
        comes_again(
            MESSAGE_ID,
            [minter(number).image_url() for number in (1, 2, 3)],
            minter(),
            rows.maybe_message,
            lambda: next(ticks),
        )


def test_a_row_behind_a_lock_is_none(store: Store, rows: MessageRows) -> None:
    """A locked file costs a moment, not the mail; the row is there again afterwards."""
    with closing(sqlite3.connect(store.directory / "messages.db")) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        locked = rows.maybe_message(EMAIL_ID, COPY)

    assert locked is None
    assert a_message(message_id=MESSAGE_ID) == rows.maybe_message(EMAIL_ID, COPY)


def test_a_file_that_was_replaced_is_opened_anew(store: Store, rows: MessageRows) -> None:
    """A back-up that was put back, or a file that was set aside: old rows tell nothing."""
    before = rows.maybe_message(EMAIL_ID, COPY)
    for name in ("messages.db", "messages.db-wal", "messages.db-shm"):
        (store.directory / name).unlink(missing_ok=True)
    with closing(store.message_log()) as log:
        log.record([a_message(message_id="<2@kontor.example>")])

    after = rows.maybe_message(EMAIL_ID, COPY)

    assert (MESSAGE_ID, "<2@kontor.example>") == (
        before and before.message_id,
        after and after.message_id,
    )


def test_a_reader_that_others_wait_in_is_not_waited_for(rows: MessageRows) -> None:
    """One session's slow read does not hold up all others."""
    with rows._lock:
        waited = rows.maybe_message(EMAIL_ID, COPY)

    assert waited is None
