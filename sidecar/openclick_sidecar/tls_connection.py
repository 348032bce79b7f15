"""A connection by TLS: TCP below, a channel above, an engine of OpenSSL's between.

Made by `listeners` for the TLS entrance, in the place of Twisted's TLSMemoryBIOProtocol, which asks
OpenSSL more often, sends by way of the reactor, and learns at the end what nobody asks for
(docs/adr/0019).

Promises to the channel: this is its transport; what is written goes out in order, before the end;
an end closes TLS in good order (close_notify) and waits for the client to hang up, so that no reset
overtakes the last answer; after an end nothing is delivered.  To the client: a fault gets its
alert.  What is written in one turn of the reactor leaves together when the turn is over, in one
system call where the socket takes it.

Limits: the server's side alone; what is written before the handshake is done is lost, and a channel
that answers requests writes nothing then.  No clock: the channel's factory cuts whoever overstays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet import protocol
from twisted.internet.interfaces import IAddress, IConsumer, IPushProducer, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from openclick_sidecar.tls import TlsContexts, TlsEngine

WhenTurnEnds = Callable[[Callable[[], None]], object]
"""Has what it is given called later in the same turn of the reactor."""


class Channel(Protocol):
    """What stands above a connection, `channel.HitChannel`; `busy` while a request is under way."""

    busy: bool

    def makeConnection(self, transport: Any) -> None:  # noqa: N802 - Twisted's name
        """Begin, with what is to be written to."""

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Take what the client says."""

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802
        """Take note of the end."""


class Outbox:
    """Has connections send what they have written, together when the turn is over."""

    def __init__(self, when_turn_ends: WhenTurnEnds) -> None:
        self._when_turn_ends = when_turn_ends
        self._waiting: list[TlsConnection] = []

    def add(self, connection: TlsConnection) -> None:
        """Have a connection send when the turn is over."""
        if not self._waiting:
            self._when_turn_ends(self._send_all)
        self._waiting.append(connection)

    def _send_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            connection.flush()


@implementer(ITransport, IConsumer, IPushProducer)
class TlsConnection(protocol.Protocol):
    """One connection.

    `disconnecting` once nothing more is delivered to the channel, nor taken from it.
    """

    transport: Any  # Twisted types it as the narrowest interface; ours is a TCP connection
    disconnecting = False
    _engine: TlsEngine | None = None
    _send_some: Callable[[bytes], int | BaseException] | None = None
    _owes = False
    _feeds = False

    def __init__(self, contexts: TlsContexts, channel: Channel, outbox: Outbox) -> None:
        self._contexts = contexts
        self._channel: Channel | None = channel
        self._outbox = outbox

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        """Tell the channel.  The engine, some 20 KiB, waits until the client says something."""
        # Asked of the class, as `channel` does: a wrapper passes on what it does not have itself.
        if hasattr(type(self.transport), "writeSomeData"):
            self._send_some = self.transport.writeSomeData
        if self._channel is not None:
            self._channel.makeConnection(self)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        """Take what has come by the wire, and hand on what it says."""
        engine, channel = self._engine, self._channel
        if channel is None or (engine is None and self.disconnecting):
            return
        if engine is None:
            engine = self._engine = self._contexts.engine()
        said = engine.receive(data)
        if said and not self.disconnecting:
            channel.dataReceived(said)
        # A request under way takes along what TLS has to say: the tickets of a new session.
        if engine.ended or not channel.busy:
            self.flush()

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802
        """Tell the channel, and let go of all that holds this object."""
        channel = self._let_go()
        if channel is not None:
            channel.connectionLost(reason)

    def write(self, data: bytes) -> None:
        """Send `data` when this turn is over."""
        if self._engine is not None and not self.disconnecting:
            self._engine.send(data)
            self._owe()

    def writeSequence(self, data: Iterable[bytes]) -> None:  # noqa: N802
        """Send all of `data`."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:  # noqa: N802
        """End it in good order once everything has been sent.

        In the midst of a handshake there is no good order: then the connection is just closed.
        """
        if self.disconnecting:
            return
        self.disconnecting = True
        if self._engine is None or not self._engine.established:
            self._hang_up()
            return
        self._engine.close()
        self._owe()
        self.transport.resumeProducing()  # to see the client hang up

    def abortConnection(self) -> None:  # noqa: N802
        """Cut it."""
        self.disconnecting = True
        self._engine = None
        self.transport.abortConnection()

    def flush(self) -> None:
        """Send what TLS has to say; hang up where the client has, or where it is at fault."""
        self._owes = False
        engine = self._engine
        if engine is None:
            return
        if data := engine.outgoing():
            self._send(data)
        if engine.ended:
            self._hang_up()

    def _owe(self) -> None:
        if not self._owes:
            self._owes = True
            self._outbox.add(self)

    def _send(self, data: bytes) -> None:
        """Send at once where the socket takes it, else when it does: see `HitChannel.send`."""
        if self._send_some is not None:
            sent = self._send_some(data)
            if sent == len(data):
                return
            self._send_some = None
            data = data[sent:] if isinstance(sent, int) else data
        self.transport.write(data)

    def _hang_up(self) -> None:
        self.disconnecting = True
        self._engine = None
        if self._feeds:  # Twisted would wait for what feeds it
            self.unregisterProducer()
        self.transport.loseConnection()

    def _let_go(self) -> Channel | None:
        channel, self._channel = self._channel, None
        self.disconnecting = True
        self._engine = self._send_some = None
        return channel

    def getPeer(self) -> IAddress:  # noqa: N802
        """Return the client's address."""
        peer: IAddress = self.transport.getPeer()
        return peer

    def getHost(self) -> IAddress:  # noqa: N802
        """Return our own."""
        host: IAddress = self.transport.getHost()
        return host

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        """Have `producer` paused while the client does not take what was written."""
        self._feeds = True
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:  # noqa: N802
        """Have it paused no more."""
        self._feeds = False
        self.transport.unregisterProducer()

    def pauseProducing(self) -> None:  # noqa: N802
        """Read no more for now; at the end the client is listened to all the same."""
        if not self.disconnecting:
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:  # noqa: N802
        """Read again."""
        if not self.disconnecting:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:  # noqa: N802
        """End it."""
        self.loseConnection()


class TlsFactory(protocol.ServerFactory):
    """Puts TLS below the channels that `hits` makes."""

    noisy = False

    def __init__(self, contexts: TlsContexts, hits: Any, when_turn_ends: WhenTurnEnds) -> None:
        self._contexts = contexts
        self._hits = hits
        self._outbox = Outbox(when_turn_ends)

    def buildProtocol(self, addr: IAddress | None) -> TlsConnection:  # noqa: N802
        """Return the protocol of a new connection."""
        return TlsConnection(self._contexts, self._hits.buildProtocol(addr), self._outbox)
