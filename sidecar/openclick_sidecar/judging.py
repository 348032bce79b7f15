"""Takes recorded hits to their verdicts and events.

A service of the sidecar: looks into hits.db several times a second, waits until a hit has been held
for `hold_seconds`, has it judged, and writes verdict and event in the transaction that moves the
cursor.

Promises: a hit is judged at least once and counts once (see `docket`); what could not be judged is
tried again at every tick, and so is what an older openclick.db that was put back does not know of.
Limits: hits that were already there at start are held anew, since nobody knows how long they have
been seen.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from openclick.logs import line
from openclick.store import FIRST_CURSOR, JudgeCursor, StoreFault
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.docket import Docket
from openclick_sidecar.pace import Pace

log = logging.getLogger(__name__)

TICK_SECONDS = 0.25


@dataclass
class Judging:
    """The service: `tick` is called every TICK_SECONDS on the reactor's thread."""

    docket: Docket
    bookkeeper: Bookkeeper
    hold_seconds: float
    monotonic: Callable[[], float]
    on_judged: Callable[[], None]
    pace: Pace
    _held: deque[tuple[float, JudgeCursor]] = field(default_factory=deque)
    _known: JudgeCursor = FIRST_CURSOR
    _due: JudgeCursor = FIRST_CURSOR
    _fault: str = ""

    async def tick(self) -> None:
        """Notice new hits, and judge those that have been held long enough."""
        try:
            standing = await self.bookkeeper.run(self.docket.standing)
            self._notice(standing.newest)
            while self._held and self._held[0][0] <= self.monotonic():
                self._due = self._held.popleft()[1]
            # Not only when hits come: a click may have had to wait, and an older openclick.db that
            # is put back has an older cursor.
            if self._due.position and standing.judged != self._due:
                await self._judge_all(self._due.position)
            self._recovered()
        except StoreFault as fault:
            self._complain(str(fault))

    def _notice(self, newest: JudgeCursor) -> None:
        """Begin the hold of what is new."""
        if newest == self._known:
            return
        if newest.file_id != self._known.file_id or newest.position < self._known.position:
            # Another file: the places of the former one mean other hits in it, if any.
            self._held.clear()
            self._due = FIRST_CURSOR
        self._known = newest
        self._held.append((self.monotonic() + self.hold_seconds, newest))

    async def _judge_all(self, position: int) -> None:
        while True:
            began_at = self.monotonic()
            judged = await self.bookkeeper.run(
                lambda registry: self.docket.judge_up_to(registry, position)
            )
            if not judged:
                return
            self.on_judged()
            await self.pace.after(judged, self.monotonic() - began_at)

    def _complain(self, fault: str) -> None:
        if fault != self._fault:
            log.error(line("judge", "hits wait to be judged", reason=fault))
        self._fault = fault

    def _recovered(self) -> None:
        if self._fault:
            log.info(line("judge", "hits are judged again"))
        self._fault = ""


def log_failure(subject: str) -> Callable[[Failure], None]:
    """Return an errback that logs what no one else has caught."""

    def log_it(failure: Failure) -> None:
        log.error(line(subject, "internal error", reason=failure.getTraceback()[-2000:]))

    return log_it


def detach(subject: str, deferred: Deferred[Any]) -> Deferred[Any]:
    """Return `deferred` with its failure logged, for work that nobody waits for."""
    return deferred.addErrback(log_failure(subject))
