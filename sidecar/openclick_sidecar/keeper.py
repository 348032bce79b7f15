"""Keeps hits on disk: in the store, else in the journal, and from there in the store later.

Called by `recorder`, in its thread alone.  Promises (DESIGN 1.4, 5): what `keep` does not name as
lost is on disk, in a file that its path names; while the store cannot be written, hits go straight
to the journal, and the store is tried again about once a second without making a hit wait; a
corrupt hits.db is set aside and a new one begun; what can be saved of one that is no longer in its
place is written into the next.

`tend` does the rest between batches, one small step a call: retry, replay, retention.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from openclick.hits import Hit
from openclick.instants import SECOND, Instant, now
from openclick.logs import line
from openclick.settings import StoreSettings
from openclick.store import (
    FIRST_CURSOR,
    HitLog,
    HitWreck,
    JudgeCursor,
    Store,
    StoreBusy,
    StoreCorrupt,
    StoreFault,
    StoreMoved,
)
from openclick_sidecar.free_space import FreeSpace
from openclick_sidecar.journal import Journal, JournalFault
from openclick_sidecar.losses import Losses
from openclick_sidecar.replay import Replay

log = logging.getLogger(__name__)

T = TypeVar("T")

_RETRY_SECONDS = 1.0
_SWEEP_SECONDS = 60.0
_SWEEP_AGAIN_SECONDS = 1.0
_SWEEP_ROWS = 500
_SALVAGE_ROWS = 100_000
"""Under load the judge is some ten thousand hits behind; this many take a second or two."""
_SPARE_BYTES = 4_194_304
_MENDS = 3
_DAY = 86_400 * SECOND
_NONE: frozenset[bytes] = frozenset()


class NoRoom(StoreFault):
    """The file system is at its reserve: hits wait elsewhere until there is room."""


class HitKeeper:
    """The store's writing side for hits, with its journal.

    `space` keeps the store's reserve; `hits_days` tells how long hits are kept; `now` is the wall
    clock, `monotonic` a clock in seconds.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        space: FreeSpace,
        hits_days: Callable[[], int],
        now: Callable[[], Instant],
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._journal = journal
        self._space = space
        self._hits_days = hits_days
        self._now = now
        self._monotonic = monotonic
        self._log: HitLog | None = None
        self._wrecks: list[HitWreck] = []
        self._fault = ""
        self._no_room = False
        self._retry_at = 0.0
        self._sweep_at = float("-inf")
        self.replay = Replay(journal)
        self.losses = Losses(monotonic)
        self.stored = 0
        self.journaled = 0

    def keep(self, hits: Sequence[Hit]) -> frozenset[bytes]:
        """Put hits on disk; return the hit_ids of those that are on none, which is nearly never."""
        try:
            if not self._fault:
                try:
                    self._require_room()
                    self._with_log(lambda hit_log: hit_log.append(hits))
                except StoreFault as fault:
                    self._turn_away(fault)
                else:
                    self.stored += len(hits)
                    return _NONE
            self._journal.append(hits)
            self.replay.note()
        except JournalFault as fault:
            return self._lose(hits, f"{self._fault}; {fault}")
        except Exception as error:
            if len(hits) > 1:  # one bad row must not cost its neighbours theirs
                return frozenset().union(*(self.keep([hit]) for hit in hits))
            log.exception(line("hits", "internal error"))
            return self._lose(hits, repr(error))
        self.journaled += len(hits)
        return _NONE

    def tend(self) -> None:
        """Take one small step of what is due beside new hits.  Raises nothing."""
        at = self._monotonic()
        self.losses.tell()
        try:
            if self._fault and at >= self._retry_at:
                self._retry()
            elif not self._fault and self.replay.pending:
                self._require_room()
                self._with_log(self.replay.step)
                self._tell_end_of_replay()
            elif self._may_sweep and at >= self._sweep_at:
                self._sweep()
        except StoreFault as fault:
            self._turn_away(fault)
        except Exception as error:  # this thread must outlive any fault of a chore
            log.exception(line("hits", "internal error"))
            self._turn_away(StoreFault(f"internal error: {error!r}"))

    def idle_seconds(self) -> float:
        """Return how long `tend` has nothing to do."""
        if not self._fault and self.replay.pending:
            return 0.0
        due_at = self._sweep_at if self._may_sweep else self._retry_at
        if self._fault:
            due_at = min(due_at, self._retry_at)
        return max(0.0, due_at - self._monotonic())

    def distrust(self, fault: StoreCorrupt) -> None:
        """Set hits.db aside, since its reader has found it corrupt where writing does not look."""
        try:
            self._set_aside(fault)
            self._with_log(HitLog.probe)  # which makes the new file, and saves what can be saved
        except StoreFault as obstacle:
            self._turn_away(obstacle)

    def close(self) -> None:
        """Close every file; the journal's hits are taken back at the next start."""
        self._let_go()
        for wreck in self._wrecks:
            wreck.close()
        self._wrecks.clear()
        self._journal.close_file()

    # --- the store

    def _with_log(self, work: Callable[[HitLog], T]) -> T:
        """Do `work` on the open file; mend what can be mended, and do it again.

        Raises StoreFault.
        """
        for _ in range(_MENDS):
            try:
                return work(self._open())
            except StoreMoved as fault:
                log.error(line("hits", "the store was moved away", reason=fault))
                self._keep_wreck()
            except StoreCorrupt as fault:
                self._set_aside(fault)
        raise StoreFault(f"{self._store.directory}: hits.db does not stay in its place")

    def _open(self) -> HitLog:
        if self._log is None:
            self._log = self._store.hit_log()
        while self._wrecks:
            self._salvage(self._wrecks[0], self._log)
            self._wrecks.pop(0).close()
        return self._log

    def _require_room(self) -> None:
        """Raise NoRoom where the reserve would be touched.

        Room that retention has made inside the file counts too: the file system does not get it
        back.
        """
        if self._space.enough():
            return
        if self._store.has_hits() and self._with_log(HitLog.spare_bytes) >= _SPARE_BYTES:
            return
        raise NoRoom(
            f"{self._space.directory}: fewer than {self._space.reserve_bytes} bytes are free"
        )

    def _turn_away(self, fault: StoreFault) -> None:
        """Leave the store alone for a while, after a fault that cannot be mended here."""
        if not isinstance(fault, StoreBusy):
            self._let_go()  # what was opened read-only, say, stays so
        if not self._fault:
            log.error(line("hits", "go to the journal", reason=fault))
        self._fault = str(fault)
        self._no_room = isinstance(fault, NoRoom)
        self._retry_at = self._monotonic() + _RETRY_SECONDS

    def _retry(self) -> None:
        self._require_room()
        self._with_log(HitLog.probe)
        self._fault = ""
        self._journal.close_file()
        self.replay.look()
        log.info(line("hits", "the store takes hits again"))

    def _let_go(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None

    # --- a file that is not in its place any more

    def _keep_wreck(self) -> None:
        """Hold on to a deleted file: its hits can be read as long as it is open."""
        database = self._log.abandon() if self._log is not None else None
        if database is not None:
            self._wrecks.append(HitWreck(database))
        self._log = None

    def _set_aside(self, fault: StoreCorrupt) -> None:
        aside = self._store.set_aside(fault, self._now())
        if aside is None:
            self._let_go()
            return
        log.error(line("hits", "corrupt file set aside", file=aside, reason=fault))
        if self._log is not None:
            # Its memory may hold pages that the disk has no more.
            self._keep_wreck()
            return
        with suppress(StoreFault):
            self._wrecks.append(self._store.hit_wreck(aside))

    def _salvage(self, wreck: HitWreck, hit_log: HitLog) -> None:
        saved = wreck.salvage(self._judge_cursor(), _SALVAGE_ROWS)
        if saved.hits:
            hit_log.append(saved.hits)
        log.warning(
            line(
                "hits",
                "salvaged",
                hits=len(saved.hits),
                unreadable=saved.unreadable,
                left=saved.left or None,
            )
        )

    def _judge_cursor(self) -> JudgeCursor:
        try:
            return self._store.judge_cursor()
        except StoreFault:
            return FIRST_CURSOR  # then the newest are saved, judged or not

    # --- chores

    @property
    def _may_sweep(self) -> bool:
        """Whether old hits may be removed: not from a store that cannot be written anyway."""
        return not self._fault or self._no_room

    def _sweep(self) -> None:
        """Remove a step's worth of old hits; look for the journal's files on the way."""
        self._sweep_at = self._monotonic() + _SWEEP_SECONDS
        self.replay.look()
        if not self._store.has_hits():
            return
        try:
            cursor = self._store.judge_cursor()
        except StoreFault:
            return  # nobody knows what is judged, so nothing goes
        before = self._now() - self._hits_days() * _DAY
        with suppress(StoreFault):
            removed = self._with_log(lambda hit_log: hit_log.sweep(before, cursor, _SWEEP_ROWS))
            if removed:
                self._sweep_at = self._monotonic() + _SWEEP_AGAIN_SECONDS

    def _tell_end_of_replay(self) -> None:
        if not self.replay.pending:
            log.info(line("journal", "all hits are in the store", since_start=self.replay.replayed))

    def _lose(self, hits: Sequence[Hit], reason: str) -> frozenset[bytes]:
        self.losses.count(len(hits), reason)
        return frozenset(hit.hit_id for hit in hits)


def journal_directory(store: Store, configured: str) -> Path:
    """Return where the journal is: where the settings say, else in the store's directory."""
    return Path(configured) if configured else store.directory / "journal"


def keeper_for(store: Store, settings: StoreSettings, hits_days: Callable[[], int]) -> HitKeeper:
    """Return the keeper of a store as the settings have it, on the machine's own clocks."""
    directory = journal_directory(store, settings.journal_directory)
    # On the store's own file system the journal may use half of the reserve, so that retention
    # still has room to work in.
    journal_space = FreeSpace(directory, settings.reserve_bytes // 2, time.monotonic)
    return HitKeeper(
        store,
        Journal(directory, journal_space, now),
        FreeSpace(store.directory, settings.reserve_bytes, time.monotonic),
        hits_days,
        now,
        time.monotonic,
    )
