"""Asks for message rows that the milter wrote earlier: is this mail one that came by before?

Called by `submission` for mail that already carries tokens of ours, which is rare.  Safe to use
from libmilter's threads.  Promises: a row that cannot be read, or not within half a second, is
None, as if there were none: the mail is then taken for a reply or forward, and gets an image of its
own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from openclick.messages import Message
from openclick.store import MessageReader, Store, StoreFault
from openclick_milter.minter import TokenMinter

_BUSY_SECONDS = 0.25
"""How long a row's reader waits for the other sessions', and then for the file's lock."""


class MessageRows:
    """The reading side of messages.db, opened when first needed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._reader: MessageReader | None = None

    def maybe_message(self, email_id: bytes, copy: bytes) -> Message | None:
        """Return the row of one copy, None where there is none or none can be read."""
        if not self._lock.acquire(timeout=_BUSY_SECONDS):
            return None
        try:
            if self._reader is not None and self._reader.moved:
                self._close()
            if self._reader is None:
                self._reader = self._store.message_reader(busy_seconds=_BUSY_SECONDS)
            return self._reader.maybe_message(email_id, copy)
        except StoreFault:
            self._close()
            return None
        finally:
            self._lock.release()

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def comes_again(
    message_id: str | None,
    own_urls: Iterable[str],
    minter: TokenMinter,
    maybe_message: Callable[[bytes, bytes], Message | None],
    checkpoint: Callable[[], None],
) -> bool:
    """Tell whether tokens in a mail were made for this very mail, so that it comes round again.

    The sign is a message row of one of them with the same Message-ID; tokens of another mail are
    quoted by a reply or a forward.  `checkpoint` is called before each; what it raises passes
    through.
    """
    names: set[tuple[bytes, bytes]] = set()
    for url in own_urls if message_id is not None else ():
        checkpoint()
        token = minter.maybe_token(url)
        if token is None or (token.email_id, token.copy) in names:
            continue
        names.add((token.email_id, token.copy))
        row = maybe_message(token.email_id, token.copy)
        if row is not None and row.message_id == message_id:
            return True
    return False
