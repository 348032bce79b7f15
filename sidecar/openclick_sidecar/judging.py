"""Takes recorded hits to their verdicts and events.

A service of the sidecar: looks into hits.db several times a second, waits until a hit has been held
for `hold_seconds`, has it judged, and writes verdict and event in the transaction that moves the
cursor.

Promises: a hit is judged at least once and counts once; where messages.db cannot be read the hit
waits rather than losing its message's data.  Limits: hits that were already there at start are held
anew, since nobody knows how long they have been seen.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from openclick.events import Bot, make_event
from openclick.hits import Hit
from openclick.instants import Instant
from openclick.logs import line
from openclick.store import (
    FIRST_CURSOR,
    HitReader,
    JudgeCursor,
    Judgement,
    MessageReader,
    Registry,
    Store,
    StoreCorrupt,
    StoreFault,
)
from openclick.verdicts import Visitor
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.judge import Judge

log = logging.getLogger(__name__)

T = TypeVar("T")

_BATCH = 500
TICK_SECONDS = 0.25


class Docket:
    """The judge's work on the store; lives in the bookkeeper's thread."""

    def __init__(
        self,
        store: Store,
        judge: Judge,
        now: Callable[[], Instant],
        on_corrupt_hits: Callable[[StoreCorrupt], None],
    ) -> None:
        """`on_corrupt_hits` is told, in this thread, of a hits.db that cannot be read."""
        self._store = store
        self._on_corrupt_hits = on_corrupt_hits
        self._judge = judge
        self._now = now
        self._hits: HitReader | None = None
        self._messages: MessageReader | None = None

    def newest(self, _registry: Registry) -> JudgeCursor:
        """Return the place of the newest hit, position 0 where there is no hit or no file yet."""
        if not self._store.has_hits():
            return FIRST_CURSOR
        return self._guarded(lambda: self._hit_reader().newest())

    def judge_up_to(self, registry: Registry, position: int) -> int:
        """Judge the next hits that are not beyond `position`; return how many there were."""
        return self._guarded(lambda: self._judge_up_to(registry, position))

    def _judge_up_to(self, registry: Registry, position: int) -> int:
        hits = self._hit_reader()
        cursor = registry.events.judge_cursor()
        # Another file, or an older one put back: start over, and skip what is judged.
        first = cursor.position if hits.holds(cursor) else 0
        batch = hits.many_after(first, position, _BATCH)
        if batch:
            known = set() if first else registry.events.judged([hit.hit_id for _, hit in batch])
            judgements = [self._judgement(hit) for _, hit in batch if hit.hit_id not in known]
            last, last_hit = batch[-1]
            reached = JudgeCursor(hits.file_id(), last, last_hit.hit_id)
            registry.events.record_judgements(judgements, reached, self._now())
        return len(batch)

    def _judgement(self, hit: Hit) -> Judgement:
        verdict = self._judge.verdict(hit)
        if not verdict.counts:
            return Judgement(hit, verdict, None)
        message = self._message_reader().maybe_message(hit.email_id, hit.copy)
        bot = Bot(verdict.source) if verdict.visitor is Visitor.PROXY else None
        return Judgement(hit, verdict, make_event(hit, message, bot))

    def _hit_reader(self) -> HitReader:
        if self._hits is not None and self._hits.moved:
            self.close()
        if self._hits is None:
            self._hits = self._store.hit_reader()
        return self._hits

    def _message_reader(self) -> MessageReader:
        if self._messages is not None and self._messages.moved:
            self.close()
        if self._messages is None:
            self._messages = self._store.message_reader()
        return self._messages

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except StoreFault as fault:
            self.close()
            if isinstance(fault, StoreCorrupt) and self._store.holds_hits(fault.path):
                self._on_corrupt_hits(fault)
            raise

    def close(self) -> None:
        """Close the files that were read; the next call opens them anew."""
        for reader in (self._hits, self._messages):
            if reader is not None:
                reader.close()
        self._hits = self._messages = None


@dataclass
class Judging:
    """The service: `tick` is called every TICK_SECONDS on the reactor's thread."""

    docket: Docket
    bookkeeper: Bookkeeper
    hold_seconds: float
    monotonic: Callable[[], float]
    on_judged: Callable[[], None]
    _held: deque[tuple[float, int]] = field(default_factory=deque)
    _known: JudgeCursor = FIRST_CURSOR
    _fault: str = ""

    async def tick(self) -> None:
        """Notice new hits, and judge those that have been held long enough."""
        try:
            newest = await self.bookkeeper.run(self.docket.newest)
            if newest != self._known:
                self._known = newest
                self._held.append((self.monotonic() + self.hold_seconds, newest.position))
            while self._held and self._held[0][0] <= self.monotonic():
                await self._judge_all(self._held[0][1])
                self._held.popleft()
            self._recovered()
        except StoreFault as fault:
            self._complain(str(fault))

    async def _judge_all(self, position: int) -> None:
        while await self.bookkeeper.run(
            lambda registry: self.docket.judge_up_to(registry, position)
        ):
            self.on_judged()

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
