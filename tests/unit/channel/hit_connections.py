"""Clients of the public listener, in memory: what the tests of the channel share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from openclick_sidecar import answers
from openclick_sidecar.answers import Answer
from openclick_sidecar.client_address import ClientAddresses
from openclick_sidecar.counters import HitCounters
from openclick_sidecar.hit_factory import HitFactory
from openclick_sidecar.hit_request import HitRequest
from openclick_sidecar.waiting_room import WaitingRoom
from support.clock import Clock

HOST = b"Host: track.kontor.example\r\n"
GET = b"GET /c/TOKEN HTTP/1.1\r\n" + HOST + b"\r\n"


class Wire(StringTransport):
    """A TCP connection in memory."""

    def __init__(self) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", "192.0.2.7", 50000))
        self.aborted = False
        self.end: Callable[[], None] = lambda: None

    def abortConnection(self) -> None:  # noqa: N802 - Twisted's name
        self.aborted = True
        self.end()


@dataclass
class Site:
    """What stands behind the channel: keeps each request until it is told to answer."""

    at_once: bool = True
    requests: list[HitRequest] = field(default_factory=list)
    waiting: list[Callable[[Answer], None]] = field(default_factory=list)

    def on_request(self, request: HitRequest, respond: Callable[[Answer], None]) -> None:
        self.requests.append(request)
        if self.at_once:
            respond(answers.redirect(request.path.encode()))
        else:
            self.waiting.append(respond)


class Connection:
    """One client's connection to a factory."""

    def __init__(self, factory: HitFactory, wire: Wire | None = None) -> None:
        self.wire = wire or Wire()
        self.channel = factory.buildProtocol(self.wire.getPeer())
        self.wire.end = self.hang_up
        self.channel.makeConnection(self.wire)

    def send(self, data: bytes) -> bytes:
        """Send bytes; return what is answered to them."""
        self.wire.clear()
        self.channel.dataReceived(data)
        return self.wire.value()

    def hang_up(self) -> None:
        """End the connection, as either side may."""
        self.channel.connectionLost(Failure(ConnectionDone()))


def a_factory(site: Site, clock: Clock, room: WaitingRoom | None = None) -> HitFactory:
    """Return a factory that trusts no proxy."""
    return HitFactory(
        site.on_request,
        clock.monotonic,
        clients=ClientAddresses(()),
        room=room or WaitingRoom(),
        counters=HitCounters(),
    )


class Socket(Wire):
    """A connection whose socket takes `room` bytes at a time, as a plain TCP one has it.

    What is left over goes by way of Twisted's buffer, here `value`.
    """

    def __init__(self, room: int | None = None) -> None:
        super().__init__()
        self.room = room
        self.lost = False
        self.sent = b""

    def writeSomeData(self, data: bytes) -> int | BaseException:  # noqa: N802 - Twisted's name
        """Take what there is room for."""
        if self.lost:
            return ConnectionDone()
        taken = data[: self.room]
        self.sent += taken
        return len(taken)


class Wrapped(Wire):
    """What stands around a connection, as TLS does: it passes on what it does not have itself."""

    def __init__(self, inside: Socket) -> None:
        super().__init__()
        self.inside = inside

    def __getattr__(self, name: str) -> object:
        return getattr(self.__dict__["inside"], name)


def status(answer: bytes) -> int:
    """Return the status code of an answer."""
    version, code, _ = answer.split(b" ", 2)
    assert version == b"HTTP/1.1"
    return int(code)
