"""The hit path in one piece, with a disk that hangs: nothing piles up, nobody is forgotten."""

from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from openclick.hits import Hit
from openclick.keys import KeyDirectory, rotate_keys
from openclick.tokens import Kind, Token
from openclick_sidecar.channel import HitChannel
from openclick_sidecar.client_address import ClientAddresses
from openclick_sidecar.counters import HitCounters
from openclick_sidecar.hit_factory import HitFactory
from openclick_sidecar.site import TrackingSite
from openclick_sidecar.waiting_room import WaitingRoom
from support.clock import Clock
from unit.samples import COPY, DESTINATION, EMAIL_ID, NOW, TRACKING_DOMAIN

MOST = 5


class HangingRecorder:
    """Takes hits and says nothing of them until it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[bool], None]] = []
        self.hits = 0

    def record(self, hit: Hit, on_done: Callable[[bool], None]) -> None:
        """Keep a hit waiting."""
        self.hits += 1
        self.waiting.append(on_done)

    def commit(self) -> None:
        """Tell all who wait now that their hits are on disk."""
        waiting, self.waiting = self.waiting, []
        for on_done in waiting:
            on_done(True)


class World:
    """Clients, and a sidecar whose recorder hangs; at most five hits may wait."""

    def __init__(self, directory: Path) -> None:
        rotate_keys(str(directory))
        keys = KeyDirectory(str(directory), Clock().monotonic)
        token = keys.ring().seal(Kind.CLICK, TRACKING_DOMAIN, Token(EMAIL_ID, COPY, 0, DESTINATION))
        self.request = f"GET /c/{token} HTTP/1.1\r\nHost: {TRACKING_DOMAIN}\r\n\r\n".encode()
        self.recorder = HangingRecorder()
        self.room = WaitingRoom(MOST)
        counters = HitCounters()
        site = TrackingSite(keys, self.recorder, lambda: NOW, bytes, self.room, counters)
        self._factory = HitFactory(
            site.on_request,
            Clock().monotonic,
            clients=ClientAddresses(()),
            room=self.room,
            counters=counters,
        )

    def connect(self) -> tuple[HitChannel, StringTransport]:
        """Open a connection."""
        address = IPv4Address("TCP", "192.0.2.7", 50_000)
        wire, channel = StringTransport(peerAddress=address), self._factory.buildProtocol(address)
        channel.makeConnection(wire)
        return channel, wire


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world."""
    return World(tmp_path)


def send(channel: HitChannel, wire: StringTransport, data: bytes) -> bool:
    """Deliver bytes as a reactor does: not while reading is paused.  Return whether they were."""
    if wire.producerState != "producing":
        return False
    channel.dataReceived(data)
    return True


def test_impatient_clients_cannot_pile_up_hits(world: World) -> None:
    """Each comes, asks, goes away and leaves its hit: after five of them nothing more is read."""
    taken = 0
    for _ in range(50):
        channel, wire = world.connect()
        taken += send(channel, wire, world.request)
        channel.connectionLost(Failure(ConnectionDone()))

    assert MOST == taken == world.recorder.hits == world.room.waiting


def test_patient_clients_are_all_answered(world: World) -> None:
    """Those whose requests were not read meanwhile are read when the disk is back."""
    clients = [world.connect() for _ in range(20)]
    unread = [pair for pair in clients if not send(*pair, world.request)]

    rounds = 0
    while world.room.waiting:
        assert world.room.waiting <= MOST
        world.recorder.commit()
        unread = [pair for pair in unread if not send(*pair, world.request)]
        rounds += 1

    assert 4 == rounds
    assert [] == unread
    assert 20 == world.recorder.hits
    assert [1] * 20 == [wire.value().count(b"302 Found") for _, wire in clients]


def test_pipelined_hits_count_one_a_connection(world: World) -> None:
    """A client with a hundred requests at once has one hit waiting, and gets all its answers."""
    channel, wire = world.connect()
    send(channel, wire, world.request * 100)
    at_once = world.room.waiting

    while world.room.waiting:
        world.recorder.commit()

    assert 1 == at_once
    assert 100 == wire.value().count(b"302 Found")
