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
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from openclick.events import Bot, make_event
from openclick.hits import Click, Hit
from openclick.instants import SECOND, Instant
from openclick.logs import line
from openclick.messages import Message
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
from openclick.tokens import Kind
from openclick.verdicts import Verdict, Visitor
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.burst import WINDOW, bursts
from openclick_sidecar.judge import Judge
from openclick_sidecar.pace import Pace
from openclick_sidecar.repeats import Repeats
from openclick_sidecar.tally import VerdictTally

log = logging.getLogger(__name__)

T = TypeVar("T")

_BATCH = 1000
_AROUND = 5_000
"""So many hits on either side of a batch are searched for the rest of its bursts: a second of
them, as long as no more than so many come in one."""
_REACH = WINDOW + SECOND // 10
"""The rest of a burst lies within its window; hits may be a little out of order."""
TICK_SECONDS = 0.25


class Docket:
    """The judge's work on the store; lives in the bookkeeper's thread."""

    def __init__(
        self,
        store: Store,
        judge: Judge,
        now: Callable[[], Instant],
        on_corrupt_hits: Callable[[StoreCorrupt], None],
        require_room: Callable[[Registry], None] = lambda _registry: None,
    ) -> None:
        """`on_corrupt_hits` is told, in this thread, of a hits.db that cannot be read.

        `require_room` raises NoRoom where openclick.db must not grow: hits then wait to be judged.
        """
        self._require_room = require_room
        self._store = store
        self._on_corrupt_hits = on_corrupt_hits
        self._judge = judge
        self._now = now
        self._hits: HitReader | None = None
        self._messages: MessageReader | None = None
        self.tally = VerdictTally()

    def newest(self, _registry: Registry) -> JudgeCursor:
        """Return the place of the newest hit, position 0 where there is no hit or no file yet."""
        if not self._store.has_hits():
            return FIRST_CURSOR
        return self._guarded(lambda: self._hit_reader().newest())

    def judge_up_to(self, registry: Registry, position: int) -> int:
        """Judge the next hits that are not beyond `position`; return how many there were."""
        self._require_room(registry)
        return self._guarded(lambda: self._judge_up_to(registry, position))

    def _judge_up_to(self, registry: Registry, position: int) -> int:
        hits = self._hit_reader()
        cursor = registry.events.judge_cursor()
        # Another file, or an older one put back: start over, and skip what is judged.
        first = cursor.position if hits.holds(cursor) else 0
        batch = hits.many_after(first, position, _BATCH)
        if batch:
            known = set() if first else registry.events.judged([hit.hit_id for _, hit in batch])
            last, last_hit = batch[-1]
            made = registry.events.record_judgements(
                self._judgements(batch, known, registry),
                JudgeCursor(hits.file_id(), last, last_hit.hit_id),
                self._now(),
            )
            for judgement in made:
                self.tally.add(judgement.verdict)
        return len(batch)

    def _judgements(
        self, batch: list[tuple[int, Hit]], known: Set[bytes], registry: Registry
    ) -> list[Judgement]:
        """Judge the hits of a batch; those that are `known` were judged before."""
        in_bursts = bursts(self._clicks_around(batch))
        repeats = Repeats(registry.events)
        judgements = []
        for position, hit in batch:
            if hit.hit_id in known:
                continue
            verdict = self._judge.verdict(hit, in_bursts.get(position, ""))
            judgements.append(self._judgement(hit, verdict, repeats))
            repeats.add(hit)
        return judgements

    def _clicks_around(self, batch: list[tuple[int, Hit]]) -> list[Click]:
        """Return the clicks of a batch, and those a second before and after it.

        They are read from the file, since neither a restart nor the end of a batch may hide a part
        of a burst.
        """
        clicks = [
            Click(place, hit.received_at, hit.email_id, hit.copy, hit.link_index, hit.ip)
            for place, hit in batch
            if hit.kind is Kind.CLICK
        ]
        if not clicks:
            return []
        hits = self._hit_reader()
        since = min(click.received_at for click in clicks) - _REACH
        until = max(click.received_at for click in clicks) + _REACH
        return [
            *hits.clicks_before(batch[0][0], since, until, _AROUND),
            *clicks,
            *hits.clicks_after(batch[-1][0], since, until, _AROUND),
        ]

    def _judgement(self, hit: Hit, verdict: Verdict, repeats: Repeats) -> Judgement:
        if not verdict.counts:
            return Judgement(hit, verdict, None)
        message = self._message_reader().maybe_message(hit.email_id, hit.copy)
        if _has_one_recipient(message):  # of several, each may look as often
            verdict = self._judge.repeat_verdict(verdict, repeats.number(hit))
        if not verdict.counts:
            return Judgement(hit, verdict, None)
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


def _has_one_recipient(message: Message | None) -> bool:
    return message is not None and len(message.recipients) == 1


@dataclass
class Judging:
    """The service: `tick` is called every TICK_SECONDS on the reactor's thread."""

    docket: Docket
    bookkeeper: Bookkeeper
    hold_seconds: float
    monotonic: Callable[[], float]
    on_judged: Callable[[], None]
    pace: Pace
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
