"""/readyz' reasons, and the watchdog's sign of life."""

from collections.abc import Callable
from pathlib import Path

import pytest

from openclick.hits import Hit
from openclick.instants import SECOND
from openclick.keys import KeyDirectory, rotate_keys
from openclick_sidecar.counters import HitCounters
from openclick_sidecar.readiness import Pulse, Readiness
from openclick_sidecar.site import TrackingSite
from openclick_sidecar.waiting_room import WaitingRoom
from support.clock import Clock
from unit.samples import NOW


class NoRecorder:
    """Nothing is asked here."""

    def record(self, hit: Hit, on_done: Callable[[bool], None]) -> None:
        """Fail."""
        raise AssertionError(hit)


class World:
    """A site, and what is asked of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = NOW
        self.runs = True
        keys = KeyDirectory(str(directory), Clock().monotonic)
        self.site = TrackingSite(
            keys, NoRecorder(), lambda: NOW, bytes, WaitingRoom(), HitCounters()
        )
        self.readiness = Readiness(keys, self.site, lambda: self.runs, lambda: self.now)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with a key."""
    rotate_keys(str(tmp_path))
    return World(tmp_path)


def test_ready(world: World) -> None:
    """With a key, a recorder, and no loss there is no reason against it."""
    assert [] == world.readiness.reasons()


def test_no_key(tmp_path: Path) -> None:
    """The reason is the fault's own text."""
    assert [
        "keys: " + str(tmp_path) + ": holds no key; need one, made by: openclick keys rotate"
    ] == (World(tmp_path).readiness.reasons())


def test_recorder_has_ended(world: World) -> None:
    """Nothing would be recorded."""
    world.runs = False

    assert ["hits: the recorder has ended"] == world.readiness.reasons()


def test_a_loss_counts_for_a_while(world: World) -> None:
    """Not for ever: without hits nobody would see that the disk is mended."""
    world.site.lost_at = NOW
    at_once = world.readiness.reasons()
    world.now += 30 * SECOND

    assert ["hits: the last one reached no disk"] == at_once
    assert [] == world.readiness.reasons()


def test_pulse_of_an_idle_sidecar() -> None:
    """Nothing waits: each tick beats."""
    beats: list[str] = []
    pulse = Pulse(WaitingRoom(), lambda: beats.append("beat"))

    pulse.tick()
    pulse.tick()

    assert 2 == len(beats)


def test_pulse_of_a_busy_sidecar() -> None:
    """Hits wait, and some got through since the last tick."""
    beats: list[str] = []
    room = WaitingRoom()
    pulse = Pulse(room, lambda: beats.append("beat"))
    for _ in range(4):
        room.enter()
    for _ in range(3):
        room.leave()
        pulse.tick()

    assert 3 == len(beats)


def test_pulse_stops_where_the_recorder_hangs() -> None:
    """The reactor goes round, the hits do not."""
    beats: list[str] = []
    room = WaitingRoom()
    pulse = Pulse(room, lambda: beats.append("beat"))
    room.enter()
    pulse.tick()
    beats.clear()

    for _ in range(5):
        pulse.tick()

    assert [] == beats
