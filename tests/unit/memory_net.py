"""A network in memory: what is dialled is kept, what is sent is read, what is answered is told.

Who calls: tests of what posts. Promises: no port, no name server; time moves only by `advance`.
Limits: plain TCP; `until` gives up after ten seconds.
"""

import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from openclick_sidecar.dialling import CheckedEndpoints
from openclick_sidecar.post import Poster, Reply

ADDRESS = "192.0.2.80"
"""Where every name leads; the range is for documentation, so it is allowed here by name."""

QUIET_SECONDS = 23.0
"""How long a connection may be without a word of the sender's."""


async def turn() -> None:
    """Let the reactor go round once."""
    await deferLater(reactor, 0, lambda: None)


async def until(condition: Callable[[], object]) -> None:
    """Let the reactor go round until `condition` holds."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "ten seconds, and still not"
        await turn()


class Dialled:
    """One connection that was dialled and taken: the receiver's end of it."""

    def __init__(self, port: int, factory: Any) -> None:
        self.port = port
        self._transport = StringTransport()
        self._protocol = factory.buildProtocol(IPv4Address("TCP", ADDRESS, port))
        self._protocol.makeConnection(self._transport)

    @property
    def received(self) -> bytes:
        """Return what has been sent to the receiver."""
        return self._transport.value()

    @property
    def hung_up(self) -> bool:
        """Tell whether the sender has ended the connection."""
        return bool(self._transport.disconnecting or self._transport.disconnected)

    @property
    def was_cut(self) -> bool:
        """Tell whether the sender has cut the connection, whatever the receiver does."""
        return bool(self._transport.disconnected)

    def answer(self, data: bytes) -> None:
        """Send bytes to the sender."""
        self._protocol.dataReceived(data)

    def end(self) -> None:
        """End the connection."""
        self._protocol.connectionLost(Failure(ConnectionDone()))

    def forget(self) -> None:
        """Make room for the next request."""
        self._transport.clear()


class MemoryNet(MemoryReactorClock):  # type: ignore[misc]
    """A reactor whose network is this object; `asked` are the names that were looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.addresses: dict[str, Sequence[str]] = {}
        self._taken = 0

    def resolve(self, name: str) -> Deferred[Sequence[str]]:
        """Return the addresses of a name: ADDRESS, unless `addresses` has others."""
        self.asked.append(name)
        return succeed(self.addresses.get(name, (ADDRESS,)))

    def waiting(self) -> int:
        """Return how many dialled connections were neither taken nor refused."""
        return len(self.tcpClients) - self._taken

    async def take(self) -> Dialled:
        """Wait for the next connection and take it."""
        await until(self.waiting)
        _, port, factory, *_ = self.tcpClients[self._taken]
        self._taken += 1
        return Dialled(port, factory)

    async def refuse(self) -> None:
        """Wait for the next connection and refuse it."""
        await until(self.waiting)
        factory = self.tcpClients[self._taken][2]
        self._taken += 1
        factory.clientConnectionFailed(None, Failure(Refused()))


def poster_on(
    net: MemoryNet, timeout_seconds: float = 15.0, connections: int = 4, *, allow_http: bool = True
) -> Poster:
    """Return a poster on a network in memory."""
    allowed = (ipaddress.ip_network(f"{ADDRESS}/32"),)
    endpoints = CheckedEndpoints(
        *(net, net.resolve, allowed, timeout_seconds, None),
        allow_http=allow_http,
        quiet_seconds=QUIET_SECONDS,
    )
    return Poster(net, timeout_seconds, endpoints, connections)


class Exchange:
    """A poster on a network in memory; what it posts unless told otherwise."""

    def __init__(
        self, url: str, body: bytes = b"{}", fields: Mapping[str, str] | None = None
    ) -> None:
        self.net = MemoryNet()
        self.poster = poster_on(self.net)
        self.replies: list[Reply] = []
        self._url, self._body, self._fields = url, body, dict(fields or {})

    def post(self, url: str = "") -> None:
        """Begin a POST."""
        done = Deferred.fromCoroutine(self.poster.post(url or self._url, self._body, self._fields))
        done.addCallback(self.replies.append)

    async def reply(self) -> Reply:
        """Return how the POST ended."""
        await until(lambda: self.replies)
        return self.replies.pop()

    async def received(self) -> Dialled:
        """Return the receiver's end once the whole request is there."""
        receiver = await self.net.take()
        await until(lambda: receiver.received.endswith(self._body))
        return receiver

    def dialled(self) -> list[str]:
        """Return the addresses that connections were begun to."""
        return [client[0] for client in self.net.tcpClients]
