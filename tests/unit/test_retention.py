"""The service that removes what is older than the settings allow, a step at a time."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from openclick.instants import SECOND
from openclick.settings import RetentionSettings
from openclick.store import Store, open_store
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.retention import Retention
from support.clock import Clock
from unit.samples import NOW, a_hit, log_events

DAY = 86_400 * SECOND


class Service:
    """The service on a clock that stands still."""

    def __init__(self, store: Store, bookkeeper: Bookkeeper) -> None:
        self.clock = Clock()
        self.now = NOW
        self.store = store
        settings = RetentionSettings(hits_days=30, events_days=400)
        self.retention = Retention(
            bookkeeper, lambda: settings, lambda: self.now, self.clock.monotonic
        )

    def counts(self) -> tuple[int, int]:
        """Return how many of hits 1 to 1,200 have a verdict and how many an event."""
        with closing(self.store.registry()) as registry:
            ids = [a_hit(number).hit_id for number in range(1, 1201)]
            judged = sum(len(registry.events.judged(ids[at : at + 400])) for at in (0, 400, 800))
            return judged, len(registry.events.many_after(0, 2000))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Return the service over 1,200 verdicts and events."""
    store = open_store(f"sqlite:{tmp_path}")
    with closing(store.registry(owner=True)) as registry:
        log_events(registry, range(1, 1201))
    bookkeeper = Bookkeeper(store, reactor)
    bookkeeper.start()
    yield Service(store, bookkeeper)
    bookkeeper.stop()


@pytest_twisted.ensureDeferred
async def test_nothing_is_old(service: Service) -> None:
    """Up to the day after the hits' last, so that no hit is there without its verdict."""
    service.now = NOW + 31 * DAY

    await service.retention.tick()

    assert (1200, 1200) == service.counts()


@pytest_twisted.ensureDeferred
async def test_steps_are_small_and_a_second_apart(service: Service) -> None:
    """500 rows of each, then the next second, until there is nothing left; then each minute."""
    service.now = NOW + 401 * DAY
    seen = []
    for seconds in (0, 0.9, 0.1, 1, 1, 1, 59, 1):
        service.clock.advance(seconds)
        await service.retention.tick()
        seen.append(service.counts()[0])

    assert [700, 700, 200, 0, 0, 0, 0, 0] == seen
    assert (0, 0) == service.counts()


@pytest_twisted.ensureDeferred
async def test_events_are_kept_longer_than_verdicts(service: Service) -> None:
    """Each has its own setting."""
    service.now = NOW + 32 * DAY
    for _ in range(5):
        await service.retention.tick()
        service.clock.advance(1)

    assert (0, 1200) == service.counts()


@pytest_twisted.ensureDeferred
async def test_a_store_that_cannot_be_used(service: Service, tmp_path: Path) -> None:
    """Nothing is removed, nothing breaks; a minute later it is tried again."""
    path = tmp_path / "openclick.db"
    path.rename(path.with_suffix(".away"))
    path.mkdir()
    service.now = NOW + 401 * DAY
    await service.retention.tick()
    path.rmdir()
    path.with_suffix(".away").rename(path)
    service.clock.advance(60)

    await service.retention.tick()

    assert (700, 700) == service.counts()
