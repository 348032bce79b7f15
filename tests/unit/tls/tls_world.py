"""A public TLS entrance in memory, and clients whose side is Python's ssl.

Who calls: tests of `tls` and `tls_connection`.  Promises: no port, no clock; a client's bytes go in
at once, and what the entrance sends is what a `Wire` or a `Socket` has been given.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from pathlib import Path

from twisted.internet import task
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from openclick.instants import now
from openclick_sidecar import answers
from openclick_sidecar.admission import Admission
from openclick_sidecar.answers import Answer
from openclick_sidecar.certificate_shelf import CertificateShelf
from openclick_sidecar.client_address import ClientAddresses
from openclick_sidecar.counters import HitCounters
from openclick_sidecar.hit_factory import HitFactory
from openclick_sidecar.hit_request import HitRequest
from openclick_sidecar.listeners import Doorkeeper
from openclick_sidecar.tls import TlsContexts
from openclick_sidecar.tls_connection import TlsFactory
from openclick_sidecar.waiting_room import WaitingRoom
from support.authority import Authority
from support.clock import Clock
from unit.wire import Wire

NAME, OTHER = "track.kontor.example", "links.andere.example"
BROWSER = ("h2", "http/1.1")
REQUEST = f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()
LAST_REQUEST = REQUEST[:-2] + b"Connection: close\r\n\r\n"
PEER = IPv4Address("TCP", "192.0.2.7", 50_000)
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]

Cut = Callable[[bytes], Iterable[bytes]]
"""Cuts what a client sends into what arrives at once."""


def of_version(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Return a client's context that speaks one version alone."""
    context.minimum_version = context.maximum_version = version
    return context


class Socket(Wire):
    """A TCP connection that can be sent to at once, as Twisted's own can.

    `room` is how much the socket takes, None for whatever it is given; `error` is what sending
    fails with.  `sent` lists what went out at once.
    """

    room: int | None = None
    error: Exception | None = None

    def __init__(self) -> None:
        super().__init__(peerAddress=PEER)
        self.sent: list[bytes] = []

    def writeSomeData(self, data: bytes) -> int | Exception:  # noqa: N802 - Twisted's name
        """Take what there is room for."""
        if self.error is not None:
            return self.error
        taken = data[: self.room]
        self.sent.append(taken)
        self.write(taken)
        return len(taken)


class Client:
    """One TLS connection to the entrance, the client's side of it by Python's ssl."""

    def __init__(
        self,
        world: World,
        context: ssl.SSLContext,
        name: str | None = NAME,
        wire: Wire | None = None,
        cut: Cut = lambda data: [data],
    ) -> None:
        self._world, self._cut = world, cut
        self.protocol = world.door.buildProtocol(PEER)
        assert self.protocol is not None
        self.wire = Wire(peerAddress=PEER) if wire is None else wire
        self.protocol.makeConnection(self.wire)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=name, session=world.session
        )

    def exchange(self) -> None:
        """Have everything sent that either side has to send, to the end of the turn."""
        for data in self._cut(self._outgoing.read()):
            if data:
                assert self.protocol is not None
                self.protocol.dataReceived(data)
        self._world.turns.advance(0)
        self._incoming.write(self.wire.value())
        self.wire.clear()

    def handshake(self) -> None:
        """Come to the end of the handshake.  Raises ssl.SSLError."""
        for _ in range(5):
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.exchange()
            else:
                self.exchange()
                return
        raise AssertionError("the handshake has no end")

    def ask(self, request: bytes = REQUEST) -> bytes:
        """Send a request and return the answer, or what there is of it."""
        self.tls.write(request)
        self.exchange()
        return self.tls.read(1_000_000)

    def hang_up(self) -> None:
        """Say that nothing more comes, and take the server's word for the same."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            self.exchange()
            self.tls.unwrap()
        else:
            self.exchange()

    def end(self) -> None:
        """End the TCP connection."""
        if self.protocol is not None:
            self.protocol.connectionLost(Failure(ConnectionDone()))
            self.protocol = None


class World:
    """A public TLS entrance on a certificate directory, and clients that trust its CA.

    Requests are answered at once, or kept in `asked` while `waits`.
    """

    def __init__(self, directory: Path, ca: Authority) -> None:
        self.directory, self.ca = directory, ca
        self.turns = task.Clock()
        self.clock = Clock()
        self.counters = HitCounters()
        self.admission = Admission(1000, 1000)
        self.room = WaitingRoom()
        self.waits = False
        self.answer = answers.ROOT
        self.asked: list[Callable[[Answer], None]] = []
        self.hits = HitFactory(
            self._on_request,
            self.clock.monotonic,
            clients=ClientAddresses([]),
            room=self.room,
            counters=self.counters,
            on_end=self.admission.release,
        )
        self.contexts = TlsContexts(CertificateShelf(directory, now), self.counters)
        inner = TlsFactory(self.contexts, self.hits, lambda call: self.turns.callLater(0, call))
        self.door = Doorkeeper(inner, self.admission)
        self.session: ssl.SSLSession | None = None
        self._clients: list[Client] = []

    def _on_request(self, _request: HitRequest, respond: Callable[[Answer], None]) -> None:
        if self.waits:
            self.asked.append(respond)
        else:
            respond(self.answer)

    def client(
        self,
        context: ssl.SSLContext | None = None,
        name: str | None = NAME,
        wire: Wire | None = None,
        cut: Cut = lambda data: [data],
    ) -> Client:
        """Return a client whose TCP connection stands; a browser's where no context is given."""
        client = Client(self, context or self.ca.client(*BROWSER), name, wire, cut)
        self._clients.append(client)
        return client

    def connect(
        self,
        context: ssl.SSLContext | None = None,
        name: str | None = NAME,
        wire: Wire | None = None,
    ) -> Client:
        """Return a client after its handshake.  Raises ssl.SSLError."""
        client = self.client(context, name, wire)
        client.handshake()
        return client

    def end(self) -> None:
        """End what is connected."""
        for client in self._clients:
            client.end()
