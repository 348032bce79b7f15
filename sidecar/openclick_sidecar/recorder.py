"""Writes hits before they are answered: one thread, one commit for all that have come meanwhile.

Called by `site` on the reactor's thread.  No timer: while one batch is being committed the next
gathers, so that a single hit waits for one commit and a thousand share it.

Promises: `on_done(True)` runs, on the reactor's thread, only when the hit is on disk: in the store,
or in the journal, which is the `keeper`'s business.  Where neither takes it `on_done(False)` runs
and the loss is counted.  Limits: nothing here bounds what waits; `waiting` tells how much it is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Set
from typing import Protocol

from openclick.hits import Hit
from openclick.instants import Instant
from openclick.logs import line
from openclick.store import StoreCorrupt
from openclick_sidecar.keeper import HitKeeper

log = logging.getLogger(__name__)

OnDone = Callable[[bool], None]


class CallsFromThread(Protocol):
    """What of the reactor is used here."""

    def callFromThread(  # noqa: N802 - Twisted's name
        self, function: Callable[..., object], *args: object
    ) -> object:
        """Have `function` called on the reactor's thread."""


class HitRecorder:
    """The thread that hands hits to their `keeper`."""

    def __init__(self, keeper: HitKeeper, reactor: CallsFromThread) -> None:
        self._keeper = keeper
        self._reactor = reactor
        self._waiting: list[tuple[Hit, OnDone]] = []
        self._in_hand = 0
        self._in_hand_at: Instant | None = None
        self._suspicion: StoreCorrupt | None = None
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="hit-recorder", daemon=True)

    @property
    def waiting(self) -> int:
        """How many hits are handed over and not told yet; cheap, and good to a few."""
        return len(self._waiting) + self._in_hand

    @property
    def recorded(self) -> int:
        """How many hits are on disk, in the store or in the journal."""
        return self._keeper.stored + self._keeper.journaled

    @property
    def first_unstored_at(self) -> Instant | None:
        """The instant of the first hit that is not in the store, None where there is none.

        It waits here, or in the journal.  A hit is in the store, or in the journal, before it is
        let go here, so that one who asks from another thread misses none.
        """
        with self._changed:
            waiting = self._waiting[0][0].received_at if self._waiting else None
            instants = [self._in_hand_at, waiting]
        instants.append(self._keeper.replay.first_at)
        return min((at for at in instants if at is not None), default=None)

    @property
    def lost(self) -> int:
        """How many hits were answered and are on no disk."""
        return self._keeper.losses.total

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
        self.record_many([(hit, on_done)])

    def record_many(self, hits: list[tuple[Hit, OnDone]]) -> None:
        """Hand hits over with one call to the thread; each one's function is told."""
        with self._changed:
            if not self._stopping:
                self._waiting += hits
                self._changed.notify()
                return
        # Connections that outlive the recorder: their readers are answered all the same.
        self._keeper.losses.count(len(hits), "the recorder has ended")
        self._reactor.callFromThread(_tell, hits, {hit.hit_id for hit, _ in hits})

    def distrust(self, fault: StoreCorrupt) -> None:
        """Have hits.db set aside, which somebody else has found corrupt; from any thread."""
        with self._changed:
            self._suspicion = fault
            self._changed.notify()

    def _run(self) -> None:
        while not self._stopping or self._waiting:
            batch = self._take(self._keeper.idle_seconds())
            if batch:
                self._keep(batch)
            if self._suspicion is not None:
                suspicion, self._suspicion = self._suspicion, None
                self._distrust(suspicion)
            self._keeper.tend()
        self._keeper.close()

    def _distrust(self, suspicion: StoreCorrupt) -> None:
        try:
            self._keeper.distrust(suspicion)
        except Exception:  # this thread must outlive any fault
            log.exception(line("hits", "internal error"))

    def _take(self, patience_seconds: float) -> list[tuple[Hit, OnDone]]:
        """Wait for hits and take them all; return none where there is something else to do."""
        with self._changed:
            if not (self._waiting or self._stopping or self._suspicion):
                self._changed.wait(patience_seconds)
            batch, self._waiting = self._waiting, []
            self._in_hand = len(batch)
            self._in_hand_at = batch[0][0].received_at if batch else None
            return batch

    def _keep(self, batch: list[tuple[Hit, OnDone]]) -> None:
        lost = self._keeper.keep([hit for hit, _ in batch])
        self._in_hand_at = None
        self._reactor.callFromThread(_tell, batch, lost)
        self._in_hand = 0


def _tell(batch: list[tuple[Hit, OnDone]], lost: Set[bytes]) -> None:
    for hit, on_done in batch:
        try:
            on_done(not lost or hit.hit_id not in lost)
        except Exception:  # one client's fault must not leave its neighbours without an answer
            log.exception(line("hits", "internal error while answering"))
