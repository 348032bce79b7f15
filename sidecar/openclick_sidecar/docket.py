"""The judge's work on the store: from rows of hits.db to verdicts, events and the cursor.

Called by `judging`, in the bookkeeper's thread.  Promises: a hit counts once, whatever file stands
in its place by now; a row that cannot be read costs itself, is counted and said; where messages.db
cannot be read hits wait rather than losing their messages' data, and where a message's row alone
cannot be read it is as if it were gone; a click waits while the rest of its burst may not be stored
yet.

Limits: what leaves the journal more than a second or so after a click, because its file could not
be read say, makes no burst of that click any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from openclick.events import Bot, make_event
from openclick.hits import Click, Hit
from openclick.instants import Instant
from openclick.messages import Message
from openclick.store import (
    FIRST_CURSOR,
    HitPage,
    HitReader,
    JudgeCursor,
    Judgement,
    MessageReader,
    Registry,
    Store,
    StoreCorrupt,
    StoreFault,
    UnreadableRow,
)
from openclick.tokens import Kind
from openclick.verdicts import Verdict, Visitor
from openclick_sidecar.burst import bursts
from openclick_sidecar.damage import Damage
from openclick_sidecar.judge import Judge
from openclick_sidecar.neighbours import REACH, neighbours
from openclick_sidecar.repeats import Repeats
from openclick_sidecar.tally import VerdictTally

T = TypeVar("T")

_BATCH = 1000


@dataclass(frozen=True)
class Standing:
    """The place of the newest hit, and the place up to which hits are judged."""

    newest: JudgeCursor
    judged: JudgeCursor


class Docket:
    """What is to be judged, and how far that has come."""

    def __init__(
        self,
        store: Store,
        judge: Judge,
        now: Callable[[], Instant],
        on_corrupt_hits: Callable[[StoreCorrupt], None],
        first_unstored_at: Callable[[], Instant | None] = lambda: None,
    ) -> None:
        """`on_corrupt_hits` is told, in this thread, of a hits.db that cannot be read.

        `first_unstored_at` returns the instant of the first hit that is not in hits.db yet.
        """
        self._store = store
        self._on_corrupt_hits = on_corrupt_hits
        self._judge = judge
        self._now = now
        self._first_unstored_at = first_unstored_at
        self._hits: HitReader | None = None
        self._messages: MessageReader | None = None
        self.tally = VerdictTally()
        self.damage = Damage()

    def standing(self, registry: Registry) -> Standing:
        """Return how far hits have come, and how far the judge has."""
        return Standing(self.newest(registry), registry.events.judge_cursor())

    def newest(self, _registry: Registry) -> JudgeCursor:
        """Return the place of the newest hit, position 0 where there is no hit or no file yet."""
        if not self._store.has_hits():
            return FIRST_CURSOR
        return self._guarded(lambda: self._hit_reader().newest())

    def judge_up_to(self, registry: Registry, position: int) -> int:
        """Judge the next hits that are not beyond `position`; return how many rows that were."""
        return self._guarded(lambda: self._judge_up_to(registry, position))

    def _judge_up_to(self, registry: Registry, position: int) -> int:
        # Asked for before the file is read: what is stored by then stands there.
        waiting_at = self._first_unstored_at()
        hits = self._hit_reader()
        cursor = registry.events.judge_cursor()
        # Another file, or an older one put back: start over, and skip what is judged.
        first = cursor.position if hits.holds(cursor) else 0
        page = _without_waiting(hits.page_after(first, position, _BATCH), waiting_at)
        if page.rows:
            made = registry.events.record_judgements(
                self._judgements(page, registry), hits.place(page.last), self._now()
            )
            for judgement in made:
                self.tally.add(judgement.verdict)
            self.damage.of_hits(page)
        return page.rows

    def _judgements(self, page: HitPage, registry: Registry) -> list[Judgement]:
        """Judge the hits of a page but those that were judged before, each once."""
        judged = registry.events.judged([hit.hit_id for _, hit in page.hits])
        clicks = _clicks(page)
        in_bursts = bursts(
            [*clicks, *neighbours(clicks, page.last, self._hit_reader(), registry.events)]
        )
        repeats = Repeats(registry.events)
        judgements = []
        for position, hit in page.hits:
            if hit.hit_id in judged:
                continue
            judged.add(hit.hit_id)
            verdict = self._judge.verdict(hit, in_bursts.get(position, ""))
            judgements.append(self._judgement(hit, verdict, repeats, registry))
            repeats.add(hit)
        return judgements

    def _judgement(
        self, hit: Hit, verdict: Verdict, repeats: Repeats, registry: Registry
    ) -> Judgement:
        if not verdict.counts:
            return Judgement(hit, verdict, None)
        message = self._maybe_message(hit)
        if _has_one_recipient(message):  # of several, each may look as often
            verdict = self._judge.repeat_verdict(verdict, repeats.number(hit))
        if not verdict.counts:
            return Judgement(hit, verdict, None)
        bot = Bot(verdict.source) if verdict.visitor is Visitor.PROXY else None
        domain = (
            registry.domains.maybe_sending_domain(hit.tracking_domain) if message is None else None
        )
        return Judgement(hit, verdict, make_event(hit, message, bot, domain))

    def _maybe_message(self, hit: Hit) -> Message | None:
        try:
            return self._message_reader().maybe_message(hit.email_id, hit.copy)
        except UnreadableRow as fault:
            self.damage.of_message(hit.email_id, hit.copy, fault)
            return None

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


def _clicks(page: HitPage) -> list[Click]:
    return [
        Click(place, hit.received_at, hit.email_id, hit.copy, hit.link_index, hit.ip)
        for place, hit in page.hits
        if hit.kind is Kind.CLICK
    ]


def _without_waiting(page: HitPage, waiting_at: Instant | None) -> HitPage:
    """Return the rows before the first click whose burst may reach into what is not stored."""
    if waiting_at is None:
        return page
    for place, hit in page.hits:
        if hit.kind is Kind.CLICK and hit.received_at >= waiting_at - REACH:
            return page.before(place)
    return page


def _has_one_recipient(message: Message | None) -> bool:
    return message is not None and len(message.recipients) == 1
