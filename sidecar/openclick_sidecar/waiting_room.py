"""The bound on hits that wait for the disk: reading stops when it is reached, and goes on later.

Called by `site` for every hit; `channel` watches it.  Pure.

The cap on connections does not bound the hits that wait.  A connection has one request under way,
but a client that goes away before its answer leaves its hit behind and may come again: while a disk
hangs for half a minute, a few hundred impatient clients would pile up hits without end.  So hits
are counted here, from the hand-over to the recorder until the recorder has told how it went.

Promises: at most `most` hits wait; no hit is answered unrecorded, and none is refused, for that.
"""

from __future__ import annotations

from collections.abc import Callable

MAX_WAITING_HITS = 20_000
"""A hit takes about 2 KiB while it waits."""


class WaitingRoom:
    """Full when `most` hits wait, until half of them are through."""

    def __init__(self, most: int = MAX_WAITING_HITS) -> None:
        self._most = most
        self._watchers: list[Callable[[], None]] = []
        self.full = False
        self.waiting = 0
        self.passed = 0
        self.pauses = 0

    def watch(self, on_change: Callable[[], None]) -> None:
        """Have `on_change` called whenever the room has become full, or no longer is."""
        self._watchers.append(on_change)

    def enter(self) -> None:
        """Count a hit that is handed to the recorder."""
        self.waiting += 1
        if self.waiting >= self._most and not self.full:
            self.full = True
            self.pauses += 1
            self._tell()

    def leave(self) -> None:
        """Count a hit whose fate is known."""
        self.waiting -= 1
        self.passed += 1
        if self.full and self.waiting <= self._most // 2:
            self.full = False
            self._tell()

    def _tell(self) -> None:
        for on_change in self._watchers:
            on_change()
