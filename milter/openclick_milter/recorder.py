"""Writes message rows: one thread, one connection, one commit for all that have come meanwhile.

libmilter moves a session between threads, so no session holds a connection of its own.  A
submission hands its row over and waits for the commit, or leaves it and goes on: untouched mail
must not wait, and its rows are written with the next ones that somebody waits for, after a fifth
of a second at the latest.

Promises: `Ticket.wait` returns only when the row is on disk; a row whose submission gave up
waiting does not stay in the store as "instrumented".  Limits: rows that are still queued when the
process is killed are gone; only untouched mail's rows and corrections can be among them.

Where the file system is at its reserve (`require_room`) no row is written, so that mail passes
untouched and the sweep has room to work in.  A messages.db that was deleted or replaced is opened
anew, and one that is corrupt is set aside and a new one begun, so that mail is tracked again at
once.

Between commits the thread does the `housekeeping`, and gives a sign of life each time that it has
come round: systemd's watchdog waits for that of the thread that writes, as mail would be served
untracked for ever before a disk that hangs.  A retired recorder gives none: its successor does.
"""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from enum import Enum

from openclick.logs import line
from openclick.messages import Message, Outcome
from openclick.store import MessageLog, NoRoom, Store, StoreCorrupt, StoreFault, StoreMoved
from openclick_milter.footprint import tidy_up
from openclick_milter.housekeeping import BEAT_SECONDS, SWEEP_AGAIN_SECONDS, Housekeeping

log = logging.getLogger(__name__)

_MAX_BATCH = 256
_MAX_WAITING = 10_000
_PATIENCE_SECONDS = 0.2
"""How long a row may lie that nobody waits for: a commit of its own costs as much as 10 rows."""


class NotRecorded(Exception):
    """The row is not on disk; the message says why."""


class Ticket:
    """A row on its way to the disk."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self._lock = threading.Lock()
        # A bare lock, held until the row is settled: an Event takes five times as many hand-overs
        # of the interpreter's lock, and each is a change of threads where many sessions wait.
        self._settled = threading.Lock()
        self._settled.acquire()
        self._fault = ""
        self._given_up = ""

    def wait(self, timeout_seconds: float) -> None:
        """Return when the row is on disk; called once.

        Raises NotRecorded where it could not be written or was not within `timeout_seconds`; the
        recorder then sees to it that the row says "untouched".
        """
        if not self._settled.acquire(timeout=max(0.0, timeout_seconds)):
            with self._lock:
                if not self._settled.acquire(blocking=False):
                    self._given_up = "store too slow"
                    raise NotRecorded(self._given_up)
        if self._fault:
            raise NotRecorded(self._fault)

    @property
    def failed(self) -> bool:
        """Whether the row was settled without being written."""
        return bool(self._fault)

    def settle(self, fault: str = "") -> Message | None:
        """End the wait; return the corrected row where the submission gave up meanwhile."""
        with self._lock:
            self._fault = fault
            self._settled.release()
            if not self._given_up:
                return None
        return dataclasses.replace(
            self.message, outcome=Outcome.UNTOUCHED, reason=self._given_up, links=()
        )


class _Call(Enum):
    """What the recorder's thread is told beside rows."""

    WRITE = "somebody waits for a row"
    ROWS_LIE = "rows lie there that nobody waits for"
    END = "write what is there, and end"


class MessageRecorder:
    """The store's writer thread; `monotonic` is a clock in seconds, `alive` a sign of life.

    `require_room` raises NoRoom where messages.db must not grow.
    """

    def __init__(
        self,
        store: Store,
        housekeeping: Housekeeping,
        monotonic: Callable[[], float],
        alive: Callable[[], None] = lambda: None,
        require_room: Callable[[MessageLog], None] = lambda _log: None,
    ) -> None:
        self._require_room = require_room
        self._store = store
        self._housekeeping = housekeeping
        self._monotonic = monotonic
        self._alive = alive
        self._beat_at = float("-inf")
        self._sweep_at = float("-inf")
        self._retired = False
        self._log: MessageLog | None = None
        self._rows: deque[Ticket] = deque()  # in the order in which they were handed over
        self._owed: list[Message] = []  # corrections that the store has not taken yet
        self._calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self._told_of_lying = False
        self._thread = threading.Thread(target=self._run, name="message-recorder", daemon=True)

    def start(self) -> None:
        """Start the thread; rows may be handed over from now on."""
        self._thread.start()

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """Write what is queued and end the thread."""
        self._calls.put(_Call.END)
        self._thread.join(timeout_seconds)

    def retire(self) -> None:
        """Leave checkpoints and chores to the successor, which writes the same file from now on."""
        self._retired = True

    def stay(self) -> None:
        """Take them back: there is no successor."""
        self._retired = False

    def record(self, message: Message) -> Ticket:
        """Hand a row over to be written at once.  Raises NotRecorded where too many wait."""
        ticket = self._add(message)
        self._calls.put(_Call.WRITE)
        return ticket

    def leave(self, message: Message) -> None:
        """Hand a row over that nobody waits for.  Raises NotRecorded as `record` does."""
        self._add(message)
        if not self._told_of_lying:
            self._told_of_lying = True
            self._calls.put(_Call.ROWS_LIE)

    def _add(self, message: Message) -> Ticket:
        if len(self._rows) >= _MAX_WAITING:
            raise NotRecorded(f"{_MAX_WAITING} rows are waiting for the store")
        ticket = Ticket(message)
        self._rows.append(ticket)
        return ticket

    def _run(self) -> None:
        ending = False
        while not ending:
            ending = self._sleep()
            self._told_of_lying = False  # first: who adds a row from here on calls again
            while self._rows:
                self._write_some()
            if not ending:
                self._do_chores()
        if self._owed:
            self._correct()
        self._close()

    def _sleep(self) -> bool:
        """Wait until rows or chores are due; return whether this is the end."""
        until = min(self._beat_at, self._sweep_at)
        while True:
            try:
                call = self._calls.get(timeout=max(0.0, until - self._monotonic()))
            except queue.Empty:
                return False
            if call is _Call.ROWS_LIE:
                until = min(until, self._monotonic() + _PATIENCE_SECONDS)
            else:
                return call is _Call.END

    def _write_some(self) -> None:
        batch = [self._rows.popleft() for _ in range(min(len(self._rows), _MAX_BATCH))]
        corrections = self._write(batch)
        if corrections:
            self._owed += corrections
            self._correct()

    def _correct(self) -> None:
        """Write the corrections; what is refused is tried again with each beat, and at the end."""
        tickets = [Ticket(message) for message in self._owed]
        self._write(tickets)
        self._owed = [ticket.message for ticket in tickets if ticket.failed]

    def _do_chores(self) -> None:
        """Beat and sweep, where either is due; a sweep that leaves something comes again soon."""
        at = self._monotonic()
        beats, sweeps = at >= self._beat_at, at >= self._sweep_at
        if beats:
            self._beat_at = at + BEAT_SECONDS
        if sweeps:
            self._sweep_at = at + BEAT_SECONDS
        if beats:
            tidy_up()
        if self._retired or not (beats or sweeps):
            return
        if beats:
            self._alive()
        try:
            if beats:
                self._housekeeping.beat(self._open())
                if self._owed:
                    self._correct()
            if sweeps and self._housekeeping.sweep(self._open()):
                self._sweep_at = at + SWEEP_AGAIN_SECONDS
        except StoreFault as fault:
            log.warning(line("store", "heartbeat not written", reason=fault))
            self._close()
        except Exception:  # this thread must outlive any fault of a chore
            log.exception(line("store", "internal error"))
            self._close()

    def _write(self, batch: list[Ticket]) -> list[Message]:
        """Commit a batch and settle its tickets; return the rows that must be corrected."""
        fault, full = "", False
        try:
            self._record([ticket.message for ticket in batch])
        except StoreFault as error:
            fault, full = str(error), isinstance(error, NoRoom)
        except Exception as error:  # noqa: BLE001 - this thread must outlive any fault of a row
            if len(batch) > 1:  # one bad row must not cost its neighbours theirs
                return [row for ticket in batch for row in self._write([ticket])]
            fault = f"internal error: {error!r}"
        if fault:
            log.error(line("store", "message rows not written", rows=len(batch), reason=fault))
            if not full:
                self._close()
        corrections = [ticket.settle(fault) for ticket in batch]
        return [row for row in corrections if row is not None and not fault]

    def _record(self, messages: list[Message]) -> None:
        """Commit rows; mend once what can be mended: a file that was moved away, or is corrupt."""
        try:
            message_log = self._open()
            self._require_room(message_log)
            message_log.record(messages)
        except StoreMoved as fault:
            log.error(line("store", "messages.db was moved away", reason=fault))
        except StoreCorrupt as fault:
            aside = self._store.set_aside(fault, self._housekeeping.now())
            if aside is not None:
                log.error(line("store", "corrupt file set aside", file=aside, reason=fault))
        else:
            return
        self._close()
        self._open().record(messages)

    def _open(self) -> MessageLog:
        if self._log is None:
            self._log = self._store.message_log()
        self._log.checkpoint_itself(not self._retired)
        return self._log

    def _close(self) -> None:
        """Drop the connection, so that the next batch opens the file anew."""
        if self._log is not None:
            self._log.close()
            self._log = None
