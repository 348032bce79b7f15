"""HTTP for the public listener: Twisted's parser, and a request object of our own.

Twisted's `HTTPChannel` parses; the resource tree, the access log and the response machinery of
twisted.web are left out, because they cost more than the hit itself (docs/adr/0006).  Only public
names are used, the same on Twisted 22.4 and 26.10; `tests/unit/channel` guards the contract
between channel and request, which Twisted does not document.

A plain GET that arrives whole is read here, at a fraction of the cost (`hit_request`).  The first
bytes of a connection that are anything else, and all that follow them, are Twisted's.

Promises: method, target, version and Host are checked here, alike on both parsers; no body is ever
read; a client has 10 s from accept (15 s from the last answer) to the end of its header block,
however it trickles; one request of a connection is under way at a time, and each gets one answer,
in order; while the waiting room is full nothing is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.iweb import INonQueuedRequestFactory
from zope.interface import implementer

from openclick_sidecar.answers import BAD_REQUEST, Answer
from openclick_sidecar.client_address import ClientAddresses, normal_address, normal_peer
from openclick_sidecar.counters import HitCounters
from openclick_sidecar.hit_request import FieldMap, HitRequest, WholeGet, read_whole_get
from openclick_sidecar.waiting_room import WaitingRoom

HEADER_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 15.0
_TARGET = re.compile(rb"/[\x21-\x7e]*\Z")
_METHOD = re.compile(rb"[A-Z]{1,16}\Z")


OnRequest = Callable[[HitRequest, Callable[[Answer], None]], None]
"""Called with a request and the function that answers it, at once or later, exactly once."""


class KeepsConnections(Protocol):
    """What a connection needs of the factory that made it, `hit_factory.HitFactory`."""

    on_request: OnRequest
    clients: ClientAddresses
    room: WaitingRoom
    counters: HitCounters
    draining: bool

    def set_deadline(self, channel: HitChannel, seconds: float) -> None:
        """Give a connection `seconds` from now, whatever it sends meanwhile."""

    def forget(self, channel: HitChannel) -> None:
        """Drop a connection that has ended."""

    def date(self) -> bytes:
        """Return the Date value of this second."""


@implementer(INonQueuedRequestFactory)
class _RequestFactory:
    """Makes an exchange for each request that the channel begins to read."""

    def __call__(self, channel: HitChannel) -> _Exchange:
        return _Exchange(channel)


class _Exchange:
    """One request and its answer, in the shape that HTTPChannel expects of a request."""

    def __init__(self, channel: HitChannel) -> None:
        self.requestHeaders = FieldMap()
        self.responseHeaders = FieldMap()
        self._channel: HitChannel | None = channel
        self._line = channel.line
        self._with_body = True

    def parseCookies(self) -> None:  # noqa: N802 - Twisted's name
        """Cookies mean nothing here."""

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        """Let nobody be told to send a body, which `HitChannel.allHeadersReceived` refuses."""
        self.requestHeaders.remove(b"expect")

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """Bodies are refused in `HitChannel.allHeadersReceived`."""

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802
        """Check the request and hand it on."""
        channel = self._channel
        if channel is None:
            return
        channel.busy = True
        self._with_body = command != b"HEAD"
        hits = channel.hits
        request = self._checked(channel, command, path, version)
        if request is None:
            channel.persistent = False
            hits.counters.bad_requests += 1
            self.answer(BAD_REQUEST)
        else:
            hits.on_request(request, self.answer)

    def answer(self, answer: Answer) -> None:
        """Send the answer, unless the client is gone."""
        channel, self._channel = self._channel, None
        if channel is None:
            return
        hits = channel.hits
        if hits.draining:
            channel.persistent = False
        channel.busy = False
        channel.send(
            answer.render(hits.date(), close=not channel.persistent, with_body=self._with_body)
        )
        channel.requestDone(self)

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802
        """Forget the client."""
        self._channel = None

    def _checked(
        self, channel: HitChannel, command: bytes, path: bytes, version: bytes
    ) -> HitRequest | None:
        fields = self.requestHeaders
        hosts = fields.values(b"host")
        peer = channel.peer()
        if (
            # The old parser splits at any blanks; the line must be what it made of it.
            self._line != b"%s %s %s" % (command, path, version)
            or not (command == b"GET" or _METHOD.match(command))
            or not _TARGET.match(path)
            or version not in (b"HTTP/1.1", b"HTTP/1.0")
            or len(hosts) > 1
            or (not hosts and version == b"HTTP/1.1")
            or channel.refused
            or peer is None
        ):
            return None
        return HitRequest(
            method=command.decode("ascii"),
            path=path.decode("ascii"),
            host=hosts[0].decode("utf-8", "replace") if hosts else "",
            client_ip=channel.hits.clients.client(peer, fields.values(b"x-forwarded-for")),
            fields=fields,
        )


class _WholeExchange:
    """One request that was read whole, and its answer."""

    __slots__ = ("_channel", "_closes")

    def __init__(self, channel: HitChannel, closes: bool) -> None:
        self._channel: HitChannel | None = channel
        self._closes = closes

    def answer(self, answer: Answer) -> None:
        """Send the answer, unless the client is gone."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.answer_whole(answer, self._closes)


class HitChannel(HTTPChannel):
    """One connection.

    `host` is the peer as the transport tells it.  `proxied` connections begin with a PROXY header,
    which their transport has read when a request arrives.  `busy` while a request is under way.
    """

    transport: Any  # Twisted types it as the narrowest interface; ours is a TCP or TLS connection
    requestFactory: Any = _RequestFactory()  # noqa: N815 - Twisted's name
    timeOut = None  # noqa: N815 - its idle timer is reset by every byte; see HitFactory.sweep
    # As nginx has it: a tracking domain gets every cookie that its parent domain sets, in one line.
    totalHeadersSize = 32 * 1024  # noqa: N815
    maxHeaders = 64  # noqa: N815
    MAX_LENGTH = 8 * 1024
    proxied = False
    refused = False
    busy = False
    line = b""
    _reads_whole = True
    _gone = False
    _paused = False
    _clogged = False
    _send_some: Callable[[bytes], int | BaseException] | None = None

    def __init__(self, hits: KeepsConnections, host: str) -> None:
        super().__init__()
        self.hits = hits
        self.host = host
        self._peer = normal_peer(host)
        self._early: list[bytes] = []

    def peer(self) -> str | None:
        """Return the address of the peer; None where the PROXY header told nonsense."""
        if not self.proxied:
            return self._peer
        return normal_address(getattr(self.transport.getPeer(), "host", ""))

    def connectionMade(self) -> None:  # noqa: N802
        """Start the clock of the first request."""
        # Asked of the class: what wraps a connection, TLS say, passes on whatever it does not have
        # itself, and the answer would go out past it, in the clear.
        if hasattr(type(self.transport), "writeSomeData"):
            self._send_some = self.transport.writeSomeData
        self.hits.set_deadline(self, HEADER_SECONDS)
        super().connectionMade()
        self.pause_if_full()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Read a plain GET that is whole; leave everything else to the parser, for good."""
        if self._reads_whole:
            if self.busy:
                self._keep_for_later(data)
                return
            read = read_whole_get(data)
            peer = self.peer()
            if read is not None and peer is not None:
                self._serve(peer, read)
                return
            self._reads_whole = False
        super().dataReceived(data)

    def answer_whole(self, answer: Answer, closes: bool) -> None:
        """Answer a request that was read whole, unless the client is gone."""
        if self._gone:
            return
        hits, self.busy = self.hits, False
        close = closes or hits.draining
        self.send(answer.render(hits.date(), close=close, with_body=True))
        hits.set_deadline(self, KEEP_ALIVE_SECONDS)
        if close:
            self.loseConnection()
            return
        if self._paused or self._early:
            self._go_on()
        self.pause_if_full()

    def _serve(self, peer: str, read: WholeGet) -> None:
        path, fields, closes = read
        self.busy = True
        hits = self.hits
        client_ip = hits.clients.client(peer, fields.values(b"x-forwarded-for"))
        hits.on_request(
            HitRequest("GET", path, fields.first(b"host"), client_ip, fields),
            _WholeExchange(self, closes).answer,
        )

    def _keep_for_later(self, data: bytes) -> None:
        """Keep what a client sends before it has its answer, and read no more until then."""
        self._early.append(data)
        self._pause()

    def _go_on(self) -> None:
        """Read on where the client takes its answers; what came early is the parser's."""
        if not self._clogged:
            self._resume()
        if self._early:
            data, self._early = b"".join(self._early), []
            self._reads_whole = False
            super().dataReceived(data)

    def _pause(self) -> None:
        self._paused = True
        self.transport.pauseProducing()

    def _resume(self) -> None:
        self._paused = False
        self.transport.resumeProducing()

    def send(self, data: bytes) -> None:
        """Send an answer: at once where the socket takes it, else when it does.

        Twisted would wait for the socket to be writable, which it nearly always is: two system
        calls and a round of the reactor, for nothing, a sixth of all that a hit costs.  A
        connection that has once left something over is Twisted's from then on, which keeps the
        order; so is one behind TLS or a PROXY header, whose transport sends nothing by itself.
        """
        if self._send_some is not None:
            sent = self._send_some(data)
            if sent == len(data):
                return
            self._send_some = None
            # What is no number tells of a connection that is lost, as Twisted will find out.
            data = data[sent:] if isinstance(sent, int) else data
        self.transport.write(data)

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        """Keep a request line, for the exchange that it begins.

        The header lines that follow go straight to Twisted's method, spared the way through here.
        """
        self.line = line
        if line:
            self.lineReceived = super().lineReceived  # type: ignore[method-assign]
        super().lineReceived(line)

    def allHeadersReceived(self) -> None:  # noqa: N802
        """Refuse a body, and expect a request line next."""
        del self.lineReceived
        super().allHeadersReceived()
        if self.length != 0:
            self.length = 0
            self.refused = True

    def requestDone(self, request: object) -> None:  # noqa: N802
        """Start the clock of the next request."""
        self.hits.set_deadline(self, KEEP_ALIVE_SECONDS)
        super().requestDone(request)
        self.pause_if_full()

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        """Answer an over-long line, which Twisted would drop without a word."""
        self.hits.counters.bad_requests += 1
        self.transport.write(BAD_REQUEST.render(self.hits.date(), close=True, with_body=True))
        self.transport.loseConnection()

    def loseConnection(self) -> None:  # noqa: N802
        """End the connection; the parser does so with a request unfinished, after a 400."""
        if self.requests:
            self.hits.counters.bad_requests += 1
        super().loseConnection()

    def pauseProducing(self) -> None:  # noqa: N802
        """Note that the client does not take its answers: Twisted stops reading from it."""
        self._clogged = True
        super().pauseProducing()

    def resumeProducing(self) -> None:  # noqa: N802
        """Note that it takes them again."""
        self._clogged = False
        super().resumeProducing()
        self.pause_if_full()

    def pause_if_full(self) -> None:
        """Stop reading while the waiting room is full: Twisted reads on after each answer."""
        if self.hits.room.full:
            self._pause()

    def read_on(self) -> None:
        """Read again, unless there is another reason not to; after an answer it goes on anyway."""
        if not self.busy and not self._clogged:
            self._resume()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        """Forget the connection's clock."""
        self._gone = True
        self.hits.forget(self)
        super().connectionLost(reason)
