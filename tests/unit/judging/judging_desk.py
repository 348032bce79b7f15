"""What tests of judging stand on: hits in a store, and the judge's work on them.

Who calls: tests of this folder.  Limits: all work is done in the caller's thread; time stands still
until a test moves it.
"""

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred, succeed

from openclick.events import Event
from openclick.hits import Hit
from openclick.instants import Instant
from openclick.store import JudgeCursor, Registry, Store, open_store
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.judge import Judge
from openclick_sidecar.judging import Docket, Judging
from openclick_sidecar.pace import Pace
from openclick_sidecar.rules import packaged_rules
from support.clock import Clock
from unit.samples import EMAIL_ID, NOW, a_hit, a_message

T = TypeVar("T")

HOLD = 3.0
DAYS_LATER = NOW + 10**15


def put_hits(store: Store, *hits: Hit) -> None:
    """Write hits as the recorder does."""
    with closing(store.hit_log()) as log:
        log.append(hits)


def events(registry: Registry) -> list[Event]:
    """Return the event log."""
    return [logged.event for logged in registry.events.many_after(0, 10_000)]


def rules(registry: Registry) -> list[str]:
    """Return which rule decided on each hit, oldest first."""
    return [judged.verdict.rule for judged in registry.events.many_judged(EMAIL_ID)]


def place(store: Store, position: int, number: int | None = None) -> JudgeCursor:
    """Return the place of hit `number` (without one: `position`) in the present hits.db."""
    with closing(store.hit_reader()) as reader:
        return JudgeCursor(reader.file_id(), position, a_hit(number or position).hit_id)


def a_burst(first: int, links: int = 3, at: int = NOW, **fields: Any) -> list[Hit]:
    """Return the clicks of a scanner, 10 ms apart."""
    return [
        a_hit(first + link, link_index=link, received_at=at + link * 10_000, **fields)
        for link in range(links)
    ]


def strangers(count: int) -> list[Hit]:
    """Return clicks on as many other messages, numbered from 100,001 on."""
    return [
        a_hit(100_000 + number, email_id=number.to_bytes(16, "big"))
        for number in range(1, count + 1)
    ]


class InThisThread(Bookkeeper):
    """The bookkeeper, without a thread of its own."""

    def run(self, work: Callable[[Registry], T]) -> Deferred[T]:
        """Do it at once."""
        return maybeDeferred(self._with_side, work)


class Desk:
    """One store and the running judge on it, whose ticks a test makes."""

    def __init__(
        self,
        directory: Path,
        strangers_first: int = 0,
        first_unstored_at: Callable[[], Instant | None] = lambda: None,
    ) -> None:
        """Let the hits of so many strangers stand in hits.db before those of the test."""
        self.store: Store = open_store(f"sqlite:{directory}")
        self.docket = Docket(
            self.store,
            Judge(packaged_rules()),
            lambda: NOW,
            lambda _fault: None,
            first_unstored_at,
        )
        self.clock = Clock()
        self.bookkeeper = InThisThread(self.store, None)
        pace = Pace(lambda: 0, lambda _seconds: succeed(None))
        self.judging = Judging(
            self.docket, self.bookkeeper, HOLD, self.clock.monotonic, lambda: None, pace
        )
        with closing(self.store.message_log()) as log:
            log.record([a_message()])
        self._strangers = strangers(strangers_first)
        if self._strangers:
            put_hits(self.store, *self._strangers)

    def put(self, *numbers: int) -> None:
        """Write hits, as the recorder does."""
        put_hits(self.store, *map(a_hit, numbers))

    def tick(self) -> None:
        """Have the service look once, and do what is due."""
        done: list[None] = []
        Deferred.fromCoroutine(self.judging.tick()).addCallback(done.append)
        assert done, "the tick has not ended"

    def judge(self) -> None:
        """Have the service see what is there, and judge it when it was held."""
        self.tick()
        self.clock.advance(HOLD)
        self.tick()

    def with_registry(self, work: Callable[[Registry], T]) -> T:
        """Return what `work` returns, as the bookkeeper has it done."""
        return self.bookkeeper._with_side(work)

    def events(self) -> list[int]:
        """Return the numbers of the hits whose events are in the log, in its order.

        Strangers' are left out, and each of theirs must be there once.
        """
        names = [event.event_id for event in self.with_registry(events)]
        numbers = [int(name.removeprefix("evt_"), 16) for name in names]
        of_strangers = [number for number in numbers if number > 100_000]
        assert len(of_strangers) == len(self._strangers)
        return [number for number in numbers if number <= 100_000]

    def rules(self) -> list[str]:
        """Return which rule decided on each hit of the message, oldest first."""
        return self.with_registry(rules)

    def back_up(self, name: str) -> Path:
        """Copy a file whose writers are at rest, and its companions, as a file back-up does."""
        aside = self.store.directory / "back-up" / name
        aside.parent.mkdir(exist_ok=True)
        for path in self.store.directory.glob(f"{name}*"):
            if path.is_file():
                shutil.copy(path, aside.parent)
        return aside

    def put_back(self, back_up: Path) -> None:
        """Replace a file by its back-up, under the sidecar's feet."""
        self.remove(back_up.name)
        for path in back_up.parent.glob(f"{back_up.name}*"):
            shutil.copy(path, self.store.directory)

    def remove(self, name: str) -> None:
        """Delete a file and its companions."""
        for path in self.store.directory.glob(f"{name}*"):
            path.unlink()

    def sweep(self) -> None:
        """Have retention remove every hit that it may."""
        with closing(self.store.hit_log()) as log:
            log.sweep(DAYS_LATER, self.store.judge_cursor(), 10_000)

    def hits(self) -> list[Hit]:
        """Return what stands in hits.db."""
        with closing(self.store.hit_reader()) as reader:
            return [hit for _, hit in reader.many_after(0, 10_000, 10_000)]

    def rows(self) -> list[int]:
        """Return the numbers of the hits in hits.db."""
        return [int.from_bytes(hit.hit_id, "big") for hit in self.hits()]

    def close(self) -> None:
        """Close what is open."""
        self.docket.close()
        self.bookkeeper._close()
