"""From recorded hits to verdicts and events: at least once judged, counted once."""

import logging
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed

from openclick.events import Event, make_event
from openclick.hits import Hit
from openclick.instants import SECOND
from openclick.store import (
    FIRST_CURSOR,
    JudgeCursor,
    NoRoom,
    Registry,
    Store,
    StoreFault,
    open_store,
)
from openclick.verdicts import Visitor
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.judge import Judge
from openclick_sidecar.judging import Docket, Judging, detach
from openclick_sidecar.pace import Pace
from openclick_sidecar.rules import packaged_rules
from support.clock import Clock
from unit.samples import EMAIL_ID, NOW, a_hit, a_message, an_event, an_open

HOLD = 3.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with one message row and no hit."""
    made = open_store(f"sqlite:{tmp_path}")
    with closing(made.message_log()) as log:
        log.record([a_message()])
    return made


@pytest.fixture
def docket(store: Store) -> Iterator[Docket]:
    """Return the judge's work on that store."""
    made = Docket(store, Judge(packaged_rules()), lambda: NOW, lambda _fault: None)
    yield made
    made.close()


@pytest.fixture
def registry(store: Store) -> Iterator[Registry]:
    """Return the registry that verdicts go to."""
    with closing(store.registry(owner=True)) as opened:
        yield opened


def put_hits(store: Store, *hits: Hit) -> None:
    """Write hits as the recorder does."""
    with closing(store.hit_log()) as log:
        log.append(hits)


def events(registry: Registry) -> list[Event]:
    """Return the event log."""
    return [logged.event for logged in registry.events.many_after(0, 10_000)]


def place(store: Store, position: int, number: int | None = None) -> JudgeCursor:
    """Return the place of hit `number` (without one: `position`) in the present hits.db."""
    with closing(store.hit_reader()) as reader:
        return JudgeCursor(reader.file_id(), position, a_hit(number or position).hit_id)


# --- Docket


def test_no_file_yet(docket: Docket, registry: Registry) -> None:
    """Before the first hit there is nothing to read, and no fault."""
    assert docket.newest(registry) == FIRST_CURSOR


def test_hits_become_verdicts_and_events(store: Store, docket: Docket, registry: Registry) -> None:
    """In order; a dropped one leaves a verdict and no event."""
    put_hits(store, a_hit(1), a_hit(2, user_agent="curl/8"), an_open(3))

    assert docket.newest(registry) == place(store, 3)
    assert docket.judge_up_to(registry, 3) == 3

    assert ["evt_" + f"{n:032x}" for n in (1, 3)] == [e.event_id for e in events(registry)]
    assert an_event(1) == events(registry)[0]
    assert place(store, 3) == registry.events.judge_cursor()


def test_a_proxys_event_names_it(store: Store, docket: Docket, registry: Registry) -> None:
    """bot {source, kind}."""
    put_hits(store, an_open(1, user_agent="YahooMailProxy"))

    docket.judge_up_to(registry, 1)

    assert b'"bot":{"source":"yahoo","kind":"proxy"}' in events(registry)[0].body


def test_at_the_reserve_hits_wait(store: Store, registry: Registry) -> None:
    """Verdicts and events would grow into the room that the removal of old ones needs."""
    room = iter([NoRoom("too little is free"), None])

    def require_room(_registry: Registry) -> None:
        if fault := next(room):
            raise fault

    judge = Judge(packaged_rules())
    docket = Docket(store, judge, lambda: NOW, lambda _fault: None, require_room)
    put_hits(store, a_hit(1))

    with pytest.raises(NoRoom, match="too little is free"):
        docket.judge_up_to(registry, 1)
    none = events(registry)
    docket.judge_up_to(registry, 1)
    docket.close()

    assert ([], [an_event(1)]) == (none, events(registry))


def test_not_beyond_what_was_held(store: Store, docket: Docket, registry: Registry) -> None:
    """Younger hits wait for their own time."""
    put_hits(store, a_hit(1), a_hit(2), a_hit(3))

    assert docket.judge_up_to(registry, 2) == 2
    assert docket.judge_up_to(registry, 2) == 0

    assert [an_event(1), an_event(2)] == events(registry)


def test_many_hits_go_in_steps(store: Store, docket: Docket, registry: Registry) -> None:
    """So that a long queue does not hold the registry's thread."""
    put_hits(store, *(a_hit(number, user_agent=f"Reader {number}") for number in range(1, 2501)))

    steps = [docket.judge_up_to(registry, 2500) for _ in range(4)]

    assert [1000, 1000, 500, 0] == steps
    assert len(events(registry)) == 2500


def test_message_row_is_gone(store: Store, docket: Docket, registry: Registry) -> None:
    """A successful read that finds none: the event carries what the token holds."""
    put_hits(store, a_hit(1, copy=b"gone"))

    docket.judge_up_to(registry, 1)

    assert [None] == [event.sending_domain for event in events(registry)]


def test_messages_that_cannot_be_read_make_hits_wait(
    store: Store, docket: Docket, registry: Registry
) -> None:
    """Wait, not guess (DESIGN 6): judged in full when the file is back."""
    path = store.directory / "messages.db"
    put_hits(store, a_hit(1))
    path.rename(path.with_suffix(".away"))
    with pytest.raises(StoreFault, match=r"messages\.db"):
        docket.judge_up_to(registry, 1)
    assert [] == events(registry)
    path.with_suffix(".away").rename(path)

    docket.judge_up_to(registry, 1)

    assert [an_event(1)] == events(registry)


def test_another_file_is_read_from_its_beginning(
    store: Store, docket: Docket, registry: Registry
) -> None:
    """A corrupt file was set aside, a new one begun: its places count anew."""
    put_hits(store, a_hit(1), a_hit(2), a_hit(3))
    docket.judge_up_to(registry, 3)
    docket.close()
    for path in store.directory.glob("hits.db*"):
        path.unlink()
    put_hits(store, a_hit(7))

    assert docket.newest(registry) == place(store, 1, 7)
    docket.judge_up_to(registry, 1)

    assert [an_event(n) for n in (1, 2, 3, 7)] == events(registry)
    assert place(store, 1, 7) == registry.events.judge_cursor()


def test_an_older_copy_is_read_from_its_beginning(
    store: Store, docket: Docket, registry: Registry
) -> None:
    """A back-up of the same file: what is judged is skipped, what came since is judged."""
    put_hits(store, a_hit(1), a_hit(2))
    backup = (store.directory / "hits.db").read_bytes()
    put_hits(store, a_hit(3), a_hit(4))
    docket.judge_up_to(registry, 4)
    docket.close()
    for path in store.directory.glob("hits.db*"):
        path.unlink()
    (store.directory / "hits.db").write_bytes(backup)
    put_hits(store, a_hit(8))

    docket.judge_up_to(registry, docket.newest(registry).position)

    assert [an_event(n) for n in (1, 2, 3, 4, 8)] == events(registry)


def test_lost_cursor_doubles_nothing(store: Store, docket: Docket, registry: Registry) -> None:
    """The cursor is only a shortcut."""
    put_hits(store, a_hit(1), a_hit(2))
    docket.judge_up_to(registry, 2)
    with registry._database.transaction() as connection:
        connection.execute("DELETE FROM cursors")

    docket.judge_up_to(registry, 2)

    assert [an_event(1), an_event(2)] == events(registry)


# --- Bursts and repeats


def rules(registry: Registry) -> list[str]:
    """Return which rule decided on each hit, oldest first."""
    return [judged.verdict.rule for judged in registry.events.many_judged(EMAIL_ID)]


def a_burst(first: int, links: int = 3, at: int = NOW, **fields: Any) -> list[Hit]:
    """Return the clicks of a scanner, 10 ms apart."""
    return [
        a_hit(first + link, link_index=link, received_at=at + link * 10_000, **fields)
        for link in range(links)
    ]


def test_a_burst_is_dropped_whole(store: Store, docket: Docket, registry: Registry) -> None:
    """The first clicks too; an open in its midst counts."""
    opened = an_open(7, received_at=NOW + 5_000)
    put_hits(store, *a_burst(1), opened)

    docket.judge_up_to(registry, 4)

    assert ["burst", "no-rule", "burst", "burst"] == rules(registry)
    assert [make_event(opened, a_message(), None)] == events(registry)


def test_a_burst_reaches_beyond_what_was_held(
    store: Store, docket: Docket, registry: Registry
) -> None:
    """The hold's look ahead: the first click is judged with those in view that came after it."""
    put_hits(store, *a_burst(1))

    docket.judge_up_to(registry, 1)

    assert rules(registry) == ["burst"]


def test_a_burst_after_a_restart(store: Store, registry: Registry) -> None:
    """What was judged before is read from the file: the third link makes no reader of the rest."""
    put_hits(store, *a_burst(1))
    for position in (1, 2, 3):
        docket = Docket(store, Judge(packaged_rules()), lambda: NOW, lambda _fault: None)
        docket.judge_up_to(registry, position)
        docket.close()

    assert ["burst"] * 3 == rules(registry)


def test_a_burst_across_batches(store: Store, docket: Docket, registry: Registry) -> None:
    """A batch's end hides no part of it."""
    others = [a_hit(number, ip=f"198.51.{number}.1", copy=b"else") for number in range(1, 100)]
    put_hits(store, *others * 5, *a_burst(1000, links=8))

    while docket.judge_up_to(registry, 10_000):
        pass

    assert 8 == rules(registry).count("burst")


def test_a_backlog_is_judged_as_it_came(store: Store, docket: Docket, registry: Registry) -> None:
    """Instants decide, not when the judge looks: an hour's clicks at once are no burst."""
    minute = 60 * SECOND
    put_hits(store, *(a_hit(n, link_index=n, received_at=NOW + n * minute) for n in range(1, 10)))

    docket.judge_up_to(registry, 9)

    assert ["no-rule"] * 9 == rules(registry)


def test_clock_set_back(store: Store, docket: Docket, registry: Registry) -> None:
    """Hits before the jump are neither neighbours nor a reason to search the whole file."""
    hour = 3600 * SECOND
    put_hits(store, *a_burst(1, at=NOW + hour), *a_burst(11, links=2), *a_burst(21, at=NOW - hour))

    docket.judge_up_to(registry, 8)

    assert ["burst"] * 3 + ["no-rule"] * 2 + ["burst"] * 3 == rules(registry)


def test_a_repeat_is_dropped(store: Store, docket: Docket, registry: Registry) -> None:
    """Twenty times an hour by one address and user agent; then no more, until an hour is over."""
    put_hits(
        store,
        *(an_open(n, received_at=NOW + n * SECOND) for n in range(1, 26)),
        an_open(30, received_at=NOW + 30 * SECOND, ip="198.51.100.1"),
        an_open(31, received_at=NOW + 31 * SECOND, user_agent="Mozilla/5.0 (X11; Linux) else"),
        an_open(32, received_at=NOW + 3700 * SECOND),
    )

    docket.judge_up_to(registry, 28)

    assert ["no-rule"] * 20 + ["repeat"] * 5 + ["no-rule"] * 3 == rules(registry)


def test_a_repeat_across_batches(store: Store, docket: Docket, registry: Registry) -> None:
    """What was judged before counts, from the store."""
    put_hits(store, *(an_open(n) for n in range(1, 24)))

    for position in (*range(1, 20), 23):
        docket.judge_up_to(registry, position)

    assert ["no-rule"] * 20 + ["repeat"] * 3 == rules(registry)


@pytest.mark.parametrize("recipients", [("a@reader.example", "b@reader.example"), ()])
def test_several_readers_may_repeat(
    store: Store, docket: Docket, registry: Registry, recipients: tuple[str, ...]
) -> None:
    """A company's mails leave by one address: only one recipient's token tells them apart."""
    with closing(store.message_log()) as log:
        log.record([a_message(recipients=recipients)])
    put_hits(store, *(an_open(n) for n in range(1, 30)))

    docket.judge_up_to(registry, 29)

    assert ["no-rule"] * 29 == rules(registry)


def work_of_a_flood(directory: Path, hits: int) -> tuple[int, int]:
    """Return how many lines of Python, and steps of SQLite, it takes to judge a flood."""
    store = open_store(f"sqlite:{directory}")
    with closing(store.message_log()) as log:
        log.record([a_message()])
    put_hits(
        store,
        *(a_hit(n, link_index=n % 9, received_at=NOW + n * 2_000) for n in range(1, hits + 1)),
    )
    docket = Docket(store, Judge(packaged_rules()), lambda: NOW, lambda _fault: None)
    lines = steps = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    def progress() -> int:
        nonlocal steps
        steps += 1
        return 0

    with closing(store.registry(owner=True)) as registry, closing(docket):
        registry._database._connection.set_progress_handler(progress, 100)
        docket._hit_reader()._database._connection.set_progress_handler(progress, 100)
        sys.settrace(trace)
        try:
            while docket.judge_up_to(registry, hits):
                pass
        finally:
            sys.settrace(None)
        assert {"burst"} == set(rules(registry))
    return lines, steps


def test_a_flood_on_one_message_is_linear(tmp_path: Path) -> None:
    """500 clicks a second on one copy: three times as many are three times the work, not more."""
    (tmp_path / "few").mkdir()
    (tmp_path / "many").mkdir()

    few = work_of_a_flood(tmp_path / "few", 3_000)
    many = work_of_a_flood(tmp_path / "many", 9_000)

    assert many[0] < 3.4 * few[0]
    assert many[1] < 3.4 * few[1]


def test_verdicts_are_counted(store: Store, docket: Docket, registry: Registry) -> None:
    """By visitor and rule, once each, however often a hit is judged."""
    put_hits(store, a_hit(1), a_hit(2, user_agent="curl/8"), an_open(3))
    docket.judge_up_to(registry, 3)
    with registry._database.transaction() as connection:
        connection.execute("DELETE FROM cursors")

    docket.judge_up_to(registry, 3)

    assert {
        (Visitor.PERSON, "no-rule"): 2,
        (Visitor.AUTOMATION, "http-library"): 1,
    } == docket.tally.counts()


# --- Judging


class Service:
    """The service on a clock that stands still."""

    def __init__(self, store: Store, docket: Docket, bookkeeper: Bookkeeper) -> None:
        self.clock = Clock()
        self.rounds = 0
        self.bookkeeper = bookkeeper
        pace = Pace(lambda: 0, lambda _seconds: succeed(None))
        self.judging = Judging(docket, bookkeeper, HOLD, self.clock.monotonic, self._count, pace)

    def _count(self) -> None:
        self.rounds += 1

    async def events(self) -> list[Event]:
        """Return the event log."""
        return await self.bookkeeper.run(events)


@pytest.fixture
def service(store: Store, docket: Docket) -> Iterator[Service]:
    """Return the service with a running bookkeeper."""
    bookkeeper = Bookkeeper(store, reactor)
    bookkeeper.start()
    yield Service(store, docket, bookkeeper)
    bookkeeper.stop()


@pytest_twisted.ensureDeferred
async def test_a_hit_is_held(store: Store, service: Service) -> None:
    """3 s by the monotonic clock after it was first seen, then judged, and the dispatcher told."""
    put_hits(store, a_hit(1))
    await service.judging.tick()
    service.clock.advance(HOLD - 0.01)
    await service.judging.tick()
    assert [] == await service.events()
    assert service.rounds == 0

    service.clock.advance(0.01)
    await service.judging.tick()

    assert [an_event(1)] == await service.events()
    assert service.rounds == 1


@pytest_twisted.ensureDeferred
async def test_each_hit_has_its_own_hold(store: Store, service: Service) -> None:
    """A later hit neither delays an earlier one nor is judged with it."""
    put_hits(store, a_hit(1))
    await service.judging.tick()
    service.clock.advance(2)
    put_hits(store, a_hit(2))
    await service.judging.tick()
    service.clock.advance(1)
    await service.judging.tick()
    first = await service.events()
    service.clock.advance(2)
    await service.judging.tick()

    assert [an_event(1)] == first
    assert [an_event(1), an_event(2)] == await service.events()


@pytest_twisted.ensureDeferred
async def test_the_wall_clock_does_not_matter(store: Store, service: Service) -> None:
    """An admin who sets the time neither hurries nor blocks a judgement."""
    put_hits(store, a_hit(1))
    await service.judging.tick()
    service.clock.set_wall(0)
    service.clock.advance(HOLD)
    await service.judging.tick()

    assert [an_event(1)] == await service.events()


@pytest_twisted.ensureDeferred
async def test_a_fault_is_said_once_and_its_end_too(
    store: Store, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Four ticks a second do not fill the journal; no hit is forgotten meanwhile."""
    caplog.set_level(logging.INFO)
    path = store.directory / "messages.db"
    path.rename(path.with_suffix(".away"))
    put_hits(store, a_hit(1))
    await service.judging.tick()
    service.clock.advance(HOLD)
    for _ in range(3):
        await service.judging.tick()
    path.with_suffix(".away").rename(path)
    await service.judging.tick()

    assert 2 == len(caplog.messages)
    assert caplog.messages[0].startswith("judge: hits wait to be judged reason=")
    assert caplog.messages[1] == "judge: hits are judged again"
    assert [an_event(1)] == await service.events()


@pytest_twisted.ensureDeferred
async def test_hits_of_before_the_start_are_held_anew(store: Store, service: Service) -> None:
    """Nobody knows how long they have been seen."""
    put_hits(store, a_hit(1))
    service.clock.advance(1000)
    await service.judging.tick()
    assert [] == await service.events()

    service.clock.advance(HOLD)
    await service.judging.tick()

    assert [an_event(1)] == await service.events()


# --- detach


def test_a_detached_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Work that nobody waits for does not fail in silence."""
    detach("dispatcher", fail(ValueError("oops")))

    assert 1 == len(caplog.messages)
    assert caplog.messages[0].startswith("dispatcher: internal error reason=")
    assert "oops" in caplog.messages[0]


def test_a_detached_success_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing to say."""
    deferred: Deferred[None] = Deferred()
    detach("dispatcher", deferred)
    deferred.callback(None)

    assert [] == caplog.messages
