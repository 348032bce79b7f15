"""HTTP on the public listener, driven with raw bytes: alike on Debian's Twisted and the newest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from openclick_sidecar import answers
from openclick_sidecar.answers import Answer
from openclick_sidecar.channel import (
    ANSWER_SECONDS,
    HEADER_SECONDS,
    KEEP_ALIVE_SECONDS,
    FieldMap,
    HitFactory,
    HitRequest,
)
from openclick_sidecar.client_address import ClientAddresses
from openclick_sidecar.counters import HitCounters
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


def status(answer: bytes) -> int:
    """Return the status code of an answer."""
    version, code, _ = answer.split(b" ", 2)
    assert version == b"HTTP/1.1"
    return int(code)


def test_get(connection: Connection, site: Site) -> None:
    """Method, target, Host, peer and fields reach the site; the answer reaches the client."""
    answer = connection.send(
        b"GET /c/TOKEN?x=%27 HTTP/1.1\r\n"
        + HOST
        + b"User-Agent: Mozilla/5.0\r\nX-A: 1\r\nX-A: 2\r\n\r\n"
    )

    (request,) = site.requests
    assert ("GET", "/c/TOKEN?x=%27", "track.kontor.example", "192.0.2.7") == (
        request.method,
        request.path,
        request.host,
        request.client_ip,
    )
    assert ("Mozilla/5.0", "1", "") == tuple(
        request.fields.first(name) for name in (b"user-agent", b"x-a", b"none")
    )
    assert len(request.fields.values(b"x-a")) == 2
    assert answer.startswith(b"HTTP/1.1 302 Found\r\nLocation: /c/TOKEN?x=%27\r\n")
    assert not connection.wire.disconnecting


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


def test_an_answer_leaves_at_once(factory: HitFactory) -> None:
    """The socket takes it: nothing is left for a further round of the reactor."""
    wire = Socket()
    connection = Connection(factory, wire)

    buffered = connection.send(GET)

    assert wire.sent.startswith(b"HTTP/1.1 302 Found\r\n")
    assert buffered == b""


class Wrapped(Wire):
    """What stands around a connection, as TLS does: it passes on what it does not have itself."""

    def __init__(self, inside: Socket) -> None:
        super().__init__()
        self.inside = inside

    def __getattr__(self, name: str) -> object:
        return getattr(self.__dict__["inside"], name)


def test_no_answer_passes_tls_by(factory: HitFactory) -> None:
    """Nothing is written to the connection inside, which would send it in the clear."""
    socket = Socket()
    connection = Connection(factory, Wrapped(socket))

    buffered = connection.send(GET)

    assert buffered.startswith(b"HTTP/1.1 302 Found\r\n")
    assert socket.sent == b""


def test_a_socket_takes_a_part_of_an_answer(factory: HitFactory) -> None:
    """The rest, and every answer after it, waits in Twisted's buffer, in order."""
    wire = Socket(room=20)
    connection = Connection(factory, wire)

    first = connection.send(GET)
    second = connection.send(GET)

    assert len(wire.sent) == 20
    assert wire.sent + first == second


def test_a_socket_is_lost_before_the_answer(factory: HitFactory) -> None:
    """Twisted gets the whole answer, and finds out by itself."""
    wire = Socket()
    wire.lost = True
    connection = Connection(factory, wire)

    buffered = connection.send(GET)

    assert buffered.startswith(b"HTTP/1.1 302 Found\r\n")


def test_connection_is_kept(connection: Connection, site: Site) -> None:
    """HTTP/1.1: one connection, one request after another."""
    codes = [status(connection.send(GET)) for _ in range(5)]

    assert [302] * 5 == codes
    assert len(site.requests) == 5


def test_request_in_single_bytes(connection: Connection, site: Site) -> None:
    """However the network cuts it."""
    answer = b""
    for byte in GET:
        answer = connection.send(bytes([byte]))

    assert status(answer) == 302
    assert len(site.requests) == 1


def test_empty_line_before_a_request(connection: Connection) -> None:
    """A lenient server takes one (RFC 9112, 2.2)."""
    assert status(connection.send(b"\r\n" + GET)) == 302


def test_head_has_no_body(connection: Connection, site: Site) -> None:
    """The fields are those of GET."""
    site.at_once = False
    connection.send(GET.replace(b"GET", b"HEAD"))
    site.waiting[0](answers.IMAGE)

    answer = connection.wire.value()
    assert b"Content-Length: 43\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")
    assert site.requests[0].method == "HEAD"


@pytest.mark.parametrize("method", ["OPTIONS", "POST", "PUT", "DELETE", "PROPFIND", "TRACE"])
def test_other_methods_are_the_sites_business(
    connection: Connection, site: Site, method: str
) -> None:
    """Without a body any method is a well-formed request."""
    assert status(connection.send(GET.replace(b"GET", method.encode()))) == 302
    assert site.requests[0].method == method


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /c/T HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\n",
        b"POST /c/T HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc",
        b"GET /c/T HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999\r\n\r\n",
        b"POST /c/T HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"POST /c/T HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    ],
)
def test_bodies_are_refused(connection: Connection, site: Site, request_bytes: bytes) -> None:
    """400 at once, without a "100 Continue" before it, and no byte of the body is waited for."""
    answer = connection.send(request_bytes)

    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert connection.wire.disconnecting
    assert [] == site.requests


def test_a_body_is_no_next_request(connection: Connection, site: Site) -> None:
    """Nothing smuggled behind a refused request is obeyed."""
    body = GET

    connection.send(
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    )
    connection.send(GET)

    assert [] == site.requests


def test_content_length_0_is_no_body(connection: Connection) -> None:
    """Some clients always send the field."""
    answer = connection.send(GET[:-2] + b"Content-Length: 0\r\n\r\n")

    assert status(answer) == 302


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: -1\r\n",
        b"Content-Length: +1\r\n",
        b"Content-Length: 1 1\r\n",
        b"Content-Length: x\r\n",
        b"Content-Length: 1\r\nContent-Length: 1\r\n",
        b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"no colon\r\n",
        b": no name\r\n",
        b"Name : blank before the colon\r\n",
    ],
)
@pytest.mark.parametrize("last", [True, False])
def test_malformed_fields_are_refused(
    connection: Connection, site: Site, lines: bytes, last: bool
) -> None:
    """The parser's own 400, and the connection ends, wherever in the block the field stands."""
    more = b"" if last else b"Accept: */*\r\n"

    answer = connection.send(GET[:-2] + lines + more + b"\r\n")

    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert connection.wire.disconnecting
    assert [] == site.requests


def test_http_1_0(connection: Connection, site: Site) -> None:
    """Answered, without a Host too, and closed afterwards."""
    answer = connection.send(b"GET /c/TOKEN HTTP/1.0\r\n\r\n")

    assert status(answer) == 302
    assert b"Connection: close\r\n" in answer
    assert connection.wire.disconnecting
    assert site.requests[0].host == ""


def test_connection_close(connection: Connection) -> None:
    """The client's wish is granted, and said."""
    answer = connection.send(GET[:-2] + b"Connection: close\r\n\r\n")

    assert b"Connection: close\r\n" in answer
    assert connection.wire.disconnecting


@pytest.mark.parametrize("fields", [b"", HOST + HOST, HOST + b"host: other.example\r\n"])
def test_exactly_one_host(connection: Connection, site: Site, fields: bytes) -> None:
    """HTTP/1.1 without one, or with two, is 400 (RFC 9112, 3.2)."""
    answer = connection.send(b"GET /c/TOKEN HTTP/1.1\r\n" + fields + b"\r\n")

    assert status(answer) == 400
    assert b"Connection: close\r\n" in answer
    assert connection.wire.disconnecting
    assert [] == site.requests


def test_two_hosts_in_http_1_0(connection: Connection, site: Site) -> None:
    """Two are refused in any version."""
    assert status(connection.send(b"GET / HTTP/1.0\r\n" + HOST + HOST + b"\r\n")) == 400
    assert [] == site.requests


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET\t/\tHTTP/1.1",
        b" GET / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET /a\x0bb HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET / HTTP/2.0",
        b"GET / HTTP/1.2",
        b"GET / http/1.1",
        b"GET / HTTP/1.1x",
        b"GET /",
        b"GET",
        b"get / HTTP/1.1",
        b"G\xc4T / HTTP/1.1",
        b"GET /\xc3\xa4 HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"GET /\x7f HTTP/1.1",
        b"GET c/TOKEN HTTP/1.1",
        b"GET * HTTP/1.1",
        b"CONNECT track.kontor.example:443 HTTP/1.1",
        b"ABCDEFGHIJKLMNOPQ / HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_odd_request_lines_are_refused(connection: Connection, site: Site, line: bytes) -> None:
    """400 on both of Twisted's parsers, however lax the older one is; nothing reaches the site."""
    answer = connection.send(line + b"\r\n" + HOST + b"\r\n")

    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert connection.wire.disconnecting
    assert [] == site.requests


@pytest.mark.parametrize(
    "data",
    [
        b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /" + b"x" * 5000,
        GET[:-2] + b"X: " + b"x" * 5000 + b"\r\n\r\n",
        GET[:-2] + b"X: " + b"x" * 5000,
        GET[:-2] + b"".join(b"X%d: %s\r\n" % (n, b"x" * 1000) for n in range(9)) + b"\r\n",
        GET[:-2] + b"".join(b"X: %d\r\n" % n for n in range(65)) + b"\r\n",
    ],
    ids=["line", "endless line", "field", "endless field", "block", "count"],
)
def test_oversized_requests_are_refused(connection: Connection, site: Site, data: bytes) -> None:
    """4 KiB a line, 8 KiB and 64 fields in all: beyond that 400, and the connection ends."""
    answer = connection.send(data)

    assert status(answer) == 400
    assert connection.wire.disconnecting
    assert [] == site.requests


def test_the_longest_tracking_url_fits(connection: Connection) -> None:
    """2,000 characters and what scanners hang on."""
    assert (
        status(connection.send(b"GET /c/" + b"x" * 3900 + b" HTTP/1.1\r\n" + HOST + b"\r\n")) == 302
    )


def test_pipelined_requests_are_answered_in_order(connection: Connection, site: Site) -> None:
    """One at a time: the second is begun when the first is answered."""
    site.at_once = False
    connection.send(b"".join(GET.replace(b"TOKEN", b"%d" % n) for n in range(3)))
    begun = []
    while site.waiting:
        begun.append([request.path for request in site.requests])
        site.waiting.pop()(answers.redirect(site.requests[-1].path.encode()))

    assert [["/c/0"], ["/c/0", "/c/1"], ["/c/0", "/c/1", "/c/2"]] == begun
    assert [b"/c/0", b"/c/1", b"/c/2"] == [
        part.split(b"\r\n")[0] for part in connection.wire.value().split(b"Location: ")[1:]
    ]


def test_many_pipelined_requests_at_once(connection: Connection, site: Site) -> None:
    """Answered at once they are answered without end of stack."""
    answer = connection.send(GET * 2000)

    assert answer.count(b"HTTP/1.1 302 Found\r\n") == 2000
    assert len(site.requests) == 2000


def test_nothing_follows_a_closed_request(connection: Connection, site: Site) -> None:
    """What was pipelined behind "Connection: close" is not answered."""
    connection.send(GET[:-2] + b"Connection: close\r\n\r\n" + GET)

    assert len(site.requests) == 1


def test_a_client_that_floods_is_paused(connection: Connection, site: Site) -> None:
    """Reading stops while a request waits for its commit and more than 16 KiB lie behind it."""
    site.at_once = False
    connection.send(GET)
    connection.send(GET * 400)

    assert connection.wire.producerState == "paused"


def test_answer_after_the_client_has_gone(factory: HitFactory, site: Site) -> None:
    """The hit is on disk, nobody waits: nothing is sent, nothing fails."""
    site.at_once = False
    connection = Connection(factory)
    connection.send(GET)
    connection.hang_up()

    site.waiting[0](answers.IMAGE)

    assert connection.wire.value() == b""
    assert factory.connections() == 0


def test_second_answer_is_ignored(connection: Connection, site: Site) -> None:
    """One answer a request."""
    site.at_once = False
    connection.send(GET)

    site.waiting[0](answers.ROOT)
    site.waiting[0](answers.ROBOTS)

    assert connection.wire.value().count(b"HTTP/1.1 ") == 1


def test_peer_without_an_address(factory: HitFactory, site: Site) -> None:
    """A Unix socket has no IP address; the hit then has none."""
    channel = factory.buildProtocol(UNIXAddress("/run/x"))
    channel.makeConnection(Wire())
    channel.dataReceived(GET)
    channel.connectionLost(Failure(ConnectionDone()))

    assert site.requests[0].client_ip == ""


def test_date_is_this_second(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendered once a second."""
    now = [1_763_937_600.9]
    monkeypatch.setattr("time.time", lambda: now[0])
    first, again = connection.send(GET), connection.send(GET)
    now[0] += 0.2

    assert b"Date: Sun, 23 Nov 2025 22:40:00 GMT\r\n" in first
    assert first == again
    assert b"Date: Sun, 23 Nov 2025 22:40:01 GMT\r\n" in connection.send(GET)


# --- deadlines


def test_silent_client_is_cut(factory: HitFactory, clock: Clock) -> None:
    """10 s from accept to the end of the header block."""
    connection = Connection(factory)
    clock.advance(HEADER_SECONDS - 0.1)
    factory.sweep()
    assert not connection.wire.aborted

    clock.advance(0.1)
    factory.sweep()

    assert connection.wire.aborted
    assert factory.connections() == 0


def test_trickling_does_not_help(factory: HitFactory, clock: Clock) -> None:
    """The deadline is absolute: no byte moves it."""
    connection = Connection(factory)
    for byte in GET[:10]:
        connection.send(bytes([byte]))
        clock.advance(1)
    factory.sweep()

    assert connection.wire.aborted


def test_kept_connection_has_15_seconds(
    factory: HitFactory, connection: Connection, clock: Clock
) -> None:
    """From the last answer to the end of the next header block."""
    clock.advance(HEADER_SECONDS - 1)
    connection.send(GET)
    clock.advance(KEEP_ALIVE_SECONDS - 0.1)
    connection.send(GET[:20])
    factory.sweep()
    assert not connection.wire.aborted

    connection.send(GET[20:])
    clock.advance(KEEP_ALIVE_SECONDS)
    factory.sweep()

    assert connection.wire.aborted


def test_a_request_under_way_has_30_seconds(
    factory: HitFactory, connection: Connection, site: Site, clock: Clock
) -> None:
    """A slow disk is not the client's fault, but nothing waits for ever."""
    site.at_once = False
    clock.advance(HEADER_SECONDS - 1)
    connection.send(GET)
    clock.advance(ANSWER_SECONDS)
    factory.sweep()
    assert not connection.wire.aborted

    clock.advance(1)
    factory.sweep()

    assert connection.wire.aborted


def test_a_client_that_does_not_take_the_end_is_cut(
    factory: HitFactory, connection: Connection, clock: Clock
) -> None:
    """After "Connection: close" and after a refusal alike."""
    other = Connection(factory)
    connection.send(GET[:-2] + b"Connection: close\r\n\r\n")
    other.send(b"x" * 5000)

    clock.advance(KEEP_ALIVE_SECONDS)
    factory.sweep()

    assert connection.wire.aborted
    assert other.wire.aborted


def test_sweep_cuts_only_who_is_late(factory: HitFactory, clock: Clock) -> None:
    """Every connection has a clock of its own."""
    late = Connection(factory)
    clock.advance(5)
    early = Connection(factory)
    clock.advance(5)

    factory.sweep()

    assert (True, False) == (late.wire.aborted, early.wire.aborted)
    assert factory.connections() == 1
    early.hang_up()


# --- the waiting room


def test_nothing_is_read_while_the_room_is_full(site: Site, clock: Clock) -> None:
    """On connections that are there and on those that come; afterwards all go on."""
    room = WaitingRoom(1)
    factory = a_factory(site, clock, room)
    before = Connection(factory)

    room.enter()
    after = Connection(factory)
    paused = (before.wire.producerState, after.wire.producerState)
    room.leave()

    assert ("paused", "paused") == paused
    assert ("producing", "producing") == (before.wire.producerState, after.wire.producerState)


def test_an_answer_does_not_read_on_past_a_full_room(site: Site, clock: Clock) -> None:
    """Twisted reads on after each answer; it is stopped again."""
    room = WaitingRoom(1)
    site.at_once = False
    connection = Connection(a_factory(site, clock, room))
    connection.send(GET)
    room.enter()

    site.waiting[0](answers.IMAGE)

    assert b"200 OK" in connection.wire.value()
    assert connection.wire.producerState == "paused"


def test_a_client_that_takes_answers_again_waits_for_room(site: Site, clock: Clock) -> None:
    """Its transport has room, but the disk has not."""
    room = WaitingRoom(1)
    connection = Connection(a_factory(site, clock, room))
    room.enter()

    connection.channel.pauseProducing()
    connection.channel.resumeProducing()

    assert connection.wire.producerState == "paused"


def test_a_room_with_space_leaves_other_reasons_alone(site: Site, clock: Clock) -> None:
    """A client that does not take its answers, or floods behind a request, stays unread."""
    room = WaitingRoom(1)
    factory = a_factory(site, clock, room)
    clogged, flooding = Connection(factory), Connection(factory)
    clogged.channel.pauseProducing()
    site.at_once = False
    flooding.send(GET)
    flooding.send(GET * 400)

    room.enter()
    room.leave()

    assert ("paused", "paused") == (clogged.wire.producerState, flooding.wire.producerState)


# --- the end


def test_draining_says_that_the_connection_closes(factory: HitFactory, site: Site) -> None:
    """A request under way is answered; its client is told not to send another one."""
    site.at_once = False
    connection = Connection(factory)
    connection.send(GET)

    factory.end_idle()
    site.waiting[0](answers.IMAGE)

    assert b"Connection: close\r\n" in connection.wire.value()
    assert connection.wire.disconnecting


def test_draining_closes_idle_connections(factory: HitFactory, site: Site) -> None:
    """Fresh ones, kept ones, and those in the middle of a header; not one with a request."""
    fresh, kept, writing, asking = [Connection(factory) for _ in range(4)]
    kept.send(GET)
    writing.send(GET[:20])
    site.at_once = False
    asking.send(GET)

    factory.end_idle()

    assert [True, True, True, False] == [
        each.wire.disconnecting for each in (fresh, kept, writing, asking)
    ]


def test_the_end_cuts_everybody(factory: HitFactory, site: Site) -> None:
    """Who has not gone when the time is up."""
    site.at_once = False
    connections = [Connection(factory) for _ in range(3)]
    connections[0].send(GET)

    factory.end_all()

    assert all(each.wire.aborted for each in connections)
    assert factory.connections() == 0


# --- counting


@pytest.mark.parametrize(
    "data",
    [
        GET.replace(b" /c", b" c"),
        GET[:-2] + b"Content-Length: 3\r\n\r\n",
        GET[:-2] + b"no colon\r\n\r\n",
        GET[:-2] + b"Content-Length: x\r\nA: b\r\n\r\n",
        b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
    ],
)
def test_what_is_no_request_is_counted_once(
    factory: HitFactory, connection: Connection, data: bytes
) -> None:
    """Whether we refuse it or the parser does."""
    connection.send(data)

    assert factory.counters.bad_requests == 1


def test_answered_and_closed_requests_are_not_counted_as_bad(
    factory: HitFactory, connection: Connection
) -> None:
    """The parser closes after "Connection: close" too."""
    connection.send(GET)
    connection.send(GET[:-2] + b"Connection: close\r\n\r\n")

    assert factory.counters.bad_requests == 0


def test_who_overstays_is_counted(factory: HitFactory, clock: Clock) -> None:
    """So that an admin sees a slow-loris."""
    Connection(factory)
    clock.advance(HEADER_SECONDS)

    factory.sweep()

    assert factory.counters.late_connections == 1


# --- anything


@settings(max_examples=200)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from([GET, HOST, b"\r\n", b"GET / HTTP/1.1\r\n", b" ", b":", b"\x00"]),
        ),
        max_size=12,
    )
)
def test_no_bytes_break_the_channel(chunks: list[bytes]) -> None:
    """Any bytes in any pieces: well-formed requests or 400, and never an exception."""
    site = Site()
    connection = Connection(a_factory(site, Clock()))

    for chunk in chunks:
        if not connection.wire.disconnecting:
            connection.channel.dataReceived(chunk)
    connection.hang_up()

    answer = connection.wire.value()
    assert answer.count(b"HTTP/1.1 302 ") == len(site.requests)
    assert all(request.path.startswith("/") for request in site.requests)


def test_field_map_serves_both_parsers() -> None:
    """The old one asks and sets in lower case, the new one adds in canonical case."""
    fields = FieldMap()
    fields.addRawHeader(b"User-Agent", b"a")
    fields.addRawHeader(b"user-agent", b"b")
    fields.setRawHeaders(b"HOST", [b"c"])

    assert [b"a", b"b"] == fields.getRawHeaders(b"USER-AGENT")
    assert fields.getRawHeaders(b"None") is None
    assert ("a", "c", "") == (
        fields.first(b"user-agent"),
        fields.first(b"host"),
        fields.first(b"x"),
    )


def test_raw_bytes_in_a_field_become_text() -> None:
    """What is not UTF-8 is replaced, never raised."""
    fields = FieldMap()
    fields.addRawHeader(b"User-Agent", b"caf\xe9 \xf0\x9f\x91\x8d")

    assert fields.first(b"user-agent") == "caf\ufffd 👍"
