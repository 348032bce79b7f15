"""Asks for message rows that the milter wrote earlier: is this mail one that came by before?

Called by `submission` for mail that already carries tokens of ours, which is rare.  Safe to use
from libmilter's threads.  Promises: a row that cannot be read is None, as if there were none: the
mail is then taken for a reply or forward, and gets an image of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from openclick.messages import Message
from openclick.store import MessageReader, Store, StoreFault
from openclick_milter.minter import TokenMinter


class MessageRows:
    """The reading side of messages.db, opened when first needed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._reader: MessageReader | None = None

    def maybe_message(self, email_id: bytes, copy: bytes) -> Message | None:
        """Return the row of one copy, None where there is none or none can be read."""
        with self._lock:
            try:
                if self._reader is not None and self._reader.moved:
                    self._close()
                if self._reader is None:
                    self._reader = self._store.message_reader()
                return self._reader.maybe_message(email_id, copy)
            except StoreFault:
                self._close()
                return None

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def comes_again(
    message_id: str | None,
    own_urls: Iterable[str],
    minter: TokenMinter,
    maybe_message: Callable[[bytes, bytes], Message | None],
) -> bool:
    """Tell whether tokens in a mail were made for this very mail, so that it comes round again.

    The sign is a message row of one of them with the same Message-ID; tokens of another mail are
    quoted by a reply or a forward.
    """
    if message_id is None:
        return False
    tokens = {minter.maybe_token(url) for url in own_urls}
    names = {(token.email_id, token.copy) for token in tokens if token is not None}
    rows = (maybe_message(*name) for name in names)
    return any(row is not None and row.message_id == message_id for row in rows)
