"""Randomness for hit ids, asked of the kernel a page at a time.

Called by `site` for each hit.  Each question to the kernel is a system call that gives the
interpreter's lock away, and with it, under load, the turn.

Promises: every byte is handed out once.  Limits: one thread; not for secrets, which should not lie
in memory before they are needed.
"""

from __future__ import annotations

from collections.abc import Callable

_PAGE_BYTES = 4096


class RandomBytes:
    """A page of random bytes from `ask`, filled again when it is used up."""

    def __init__(self, ask: Callable[[int], bytes]) -> None:
        self._ask = ask
        self._page = b""
        self._used = 0

    def take(self, size: int) -> bytes:
        """Return `size` bytes, at most a page."""
        if self._used + size > len(self._page):
            self._page, self._used = self._ask(_PAGE_BYTES), 0
        taken = self._page[self._used : self._used + size]
        self._used += size
        return taken
