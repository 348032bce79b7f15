"""The service: hits are held, then judged; faults are said once, and nothing is forgotten."""

import logging
from collections.abc import Iterator

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed

from openclick.events import Event
from openclick.store import Store
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.judging import Docket, Judging, detach
from openclick_sidecar.pace import Pace
from support.clock import Clock
from unit.judging.judging_desk import HOLD, events, put_hits
from unit.samples import a_hit, an_event


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
