"""Writes hits before they are answered: one thread, one commit for all that have come meanwhile.

Called by `site` on the reactor's thread.  No timer: while one batch is being committed the next
gathers, so that a single hit waits for one commit and a thousand share it.

Promises: `on_done(True)` runs, on the reactor's thread, only when the hit is on disk.  Where the
store cannot take it `on_done(False)` runs and the loss is counted; the file is opened anew with the
next batch.  Limits: what waits is bounded by the connections, since each has one request under way.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from openclick.hits import Hit
from openclick.logs import line
from openclick.store import HitLog, Store, StoreFault

log = logging.getLogger(__name__)

OnDone = Callable[[bool], None]


class CallsFromThread(Protocol):
    """What of the reactor is used here."""

    def callFromThread(  # noqa: N802 - Twisted's name
        self, function: Callable[..., object], *args: object
    ) -> object:
        """Have `function` called on the reactor's thread."""


class HitRecorder:
    """The store's writer thread for hits."""

    def __init__(self, store: Store, reactor: CallsFromThread) -> None:
        self._store = store
        self._reactor = reactor
        self._log: HitLog | None = None
        self._waiting: list[tuple[Hit, OnDone]] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="hit-recorder", daemon=True)
        self.recorded = 0
        self.lost = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits and end the thread; blocks until then."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    @property
    def running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread.is_alive()

    def record(self, hit: Hit, on_done: OnDone) -> None:
        """Hand a hit over; `on_done` tells whether it reached the disk."""
        with self._changed:
            if not self._stopping:
                self._waiting.append((hit, on_done))
                self._changed.notify()
                return
        # A connection that outlives the recorder: its reader is answered all the same.
        self._count_lost(1, "the recorder has ended")
        self._reactor.callFromThread(_tell, [on_done], False)

    def _run(self) -> None:
        while batch := self._take():
            recorded = self._write([hit for hit, _ in batch])
            self._reactor.callFromThread(_tell, [on_done for _, on_done in batch], recorded)
        self._close()

    def _take(self) -> list[tuple[Hit, OnDone]]:
        """Wait for hits and take them all; an empty list is the end."""
        with self._changed:
            while not self._waiting and not self._stopping:
                self._changed.wait()
            batch, self._waiting = self._waiting, []
            return batch

    def _write(self, hits: list[Hit]) -> bool:
        try:
            if self._log is None:
                self._log = self._store.hit_log()
            self._log.append(hits)
        except StoreFault as fault:
            self._lose(hits, str(fault))
            return False
        except Exception as error:
            log.exception(line("hits", "internal error"))
            self._lose(hits, repr(error))
            return False
        self.recorded += len(hits)
        return True

    def _lose(self, hits: list[Hit], reason: str) -> None:
        self._count_lost(len(hits), reason)
        self._close()

    def _count_lost(self, hits: int, reason: str) -> None:
        self.lost += hits
        log.error(line("hits", "answered but not recorded", hits=hits, reason=reason))

    def _close(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None


def _tell(listeners: list[OnDone], recorded: bool) -> None:
    for on_done in listeners:
        try:
            on_done(recorded)
        except Exception:  # one client's fault must not leave its neighbours without an answer
            log.exception(line("hits", "internal error while answering"))
