"""A network in memory: what is dialled is kept, what is sent is read, what is answered is told.

Who calls: tests of what posts. Promises: no port, no name server; time moves only by `advance`.
Limits: plain TCP; `until` gives up after ten seconds.
"""

import time
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IReactorPluggableNameResolver
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer


async def turn() -> None:
    """Let the reactor go round once."""
    await deferLater(reactor, 0, lambda: None)


async def until(condition: Callable[[], object]) -> None:
    """Let the reactor go round until `condition` holds."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "ten seconds, and still not"
        await turn()


class _Names:
    """Resolves every name to one address, at once."""

    def resolveHostName(  # noqa: N802 - Twisted's name
        self,
        receiver: Any,
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        *_: Any,
        **__: Any,
    ) -> Any:
        receiver.resolutionBegan(None)
        receiver.addressResolved(IPv4Address("TCP", "192.0.2.80", portNumber))
        receiver.resolutionComplete()
        return receiver


class Dialled:
    """One connection that was dialled and taken: the receiver's end of it."""

    def __init__(self, port: int, factory: Any) -> None:
        self.port = port
        self._transport = StringTransport()
        self._protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.80", port))
        self._protocol.makeConnection(self._transport)

    @property
    def received(self) -> bytes:
        """Return what has been sent to the receiver."""
        return self._transport.value()

    @property
    def hung_up(self) -> bool:
        """Tell whether the sender has ended the connection."""
        return bool(self._transport.disconnecting or self._transport.disconnected)

    def answer(self, data: bytes) -> None:
        """Send bytes to the sender."""
        self._protocol.dataReceived(data)

    def end(self) -> None:
        """End the connection."""
        self._protocol.connectionLost(Failure(ConnectionDone()))

    def forget(self) -> None:
        """Make room for the next request."""
        self._transport.clear()


@implementer(IReactorPluggableNameResolver)
class MemoryNet(MemoryReactorClock):  # type: ignore[misc]
    """A reactor whose network is this object."""

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver = _Names()
        self._taken = 0

    def installNameResolver(self, resolver: Any) -> Any:  # noqa: N802 - Twisted's name
        """Nobody does."""
        raise NotImplementedError  # Twisted asks for the method; nothing here may call it

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
        self.advance(1)  # Twisted looks for a second address first
