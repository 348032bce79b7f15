"""A site, a clock, a factory and an open connection for every test of the channel."""

from collections.abc import Iterator

import pytest

from openclick_sidecar.hit_factory import HitFactory
from support.clock import Clock
from unit.channel.hit_connections import Connection, Site, a_factory


@pytest.fixture
def site() -> Site:
    """Return a site that answers at once."""
    return Site()


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture
def factory(site: Site, clock: Clock) -> HitFactory:
    """Return the factory under test."""
    return a_factory(site, clock)


@pytest.fixture
def connection(factory: HitFactory) -> Iterator[Connection]:
    """Return an open connection; what it leaves in the table is checked at the end."""
    opened = Connection(factory)
    yield opened
    opened.hang_up()
    assert factory.connections() == 0
