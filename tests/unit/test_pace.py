"""The judge makes way for readers."""

import pytest_twisted
from twisted.internet.defer import Deferred, succeed

from openclick_sidecar.pace import Pace


class World:
    """Hits that arrive, and pauses that are taken."""

    def __init__(self) -> None:
        self.arrived = 0
        self.pauses: list[float] = []
        self.pace = Pace(lambda: self.arrived, self._sleep)

    def _sleep(self, seconds: float) -> Deferred[None]:
        self.pauses.append(seconds)
        return succeed(None)


@pytest_twisted.ensureDeferred
async def test_hits_come_faster_than_they_are_judged() -> None:
    """Nine times as long as the batch took is theirs."""
    world = World()
    world.arrived = 300

    await world.pace.after(200, 0.02)

    assert [0.18] == world.pauses


@pytest_twisted.ensureDeferred
async def test_the_judge_catches_up_without_a_pause() -> None:
    """Few come, or none: whoever waits for events gets them."""
    world = World()
    world.arrived = 300
    await world.pace.after(200, 0.02)
    world.arrived = 310

    await world.pace.after(200, 0.02)

    assert 1 == len(world.pauses)


@pytest_twisted.ensureDeferred
async def test_a_slow_disk_does_not_put_it_to_sleep() -> None:
    """A pause has an end, however long the batch took."""
    world = World()
    world.arrived = 300

    await world.pace.after(200, 30.0)

    assert [1.0] == world.pauses
