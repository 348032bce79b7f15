"""TLS between TCP and the channel, in memory: what goes out when, in pieces, faults, ends."""

import ssl
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from zope.interface.verify import verifyObject

from openclick_sidecar import answers
from support.authority import Authority
from unit.tls_world import (
    BROWSER,
    LAST_REQUEST,
    NAME,
    PEER,
    REQUEST,
    VERSIONS,
    Socket,
    World,
    of_version,
)


@pytest.fixture(scope="module")
def ca() -> Authority:
    """Give a CA."""
    return Authority()


@pytest.fixture
def world(tmp_path: Path, ca: Authority) -> Iterator[World]:
    """Give an entrance that has a certificate for NAME; nothing may be left of its connections."""
    ca.put(tmp_path, NAME)
    made = World(tmp_path, ca)
    yield made
    made.end()
    assert made.admission.open == 0
    assert made.hits.connections() == 0


def records(data: bytes) -> list[int]:
    """Return the content type of each record of TLS (RFC 8446, 5.1)."""
    kinds = []
    while data:
        kinds.append(data[0])
        data = data[5 + int.from_bytes(data[3:5], "big") :]
    return kinds


def test_it_is_a_transport(world: World) -> None:
    """As Twisted's channel wants one."""
    connection = world.connect().protocol

    for interface in (ITransport, IConsumer, IPushProducer):
        assert verifyObject(interface, connection)
    assert PEER == connection.getPeer()
    assert connection.getHost() == connection.transport.getHost()


# What goes out when


def test_an_answer_and_the_end_leave_together(world: World) -> None:
    """One system call for the last answer and for the word that nothing more comes."""
    wire = Socket()
    client = world.connect(wire=wire)
    wire.sent.clear()

    answer = client.ask(LAST_REQUEST)

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert [23, 23] == records(b"".join(wire.sent))
    assert 1 == len(wire.sent)
    assert b"" == client.tls.read(100)


def test_answers_of_one_turn_leave_together(world: World) -> None:
    """Pipelined requests that were all answered in the turn in which they came."""
    wire = Socket()
    client = world.connect(wire=wire)
    wire.sent.clear()

    answer = client.ask(REQUEST * 3)

    assert 1 == len(wire.sent)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_tickets_wait_for_the_answer(world: World) -> None:
    """Where the request came with the handshake's last word; the session is good all the same."""
    world.waits = True
    wire = Socket()
    context = of_version(world.ca.client(*BROWSER), ssl.TLSVersion.TLSv1_3)
    client = world.client(context, wire=wire)
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.do_handshake()
    client.exchange()
    client.tls.do_handshake()
    wire.sent.clear()

    client.tls.write(REQUEST)
    client.exchange()
    before = list(wire.sent)
    world.asked.pop()(answers.ROOT)
    client.exchange()

    assert [] == before
    assert 1 == len(wire.sent)
    assert client.tls.read(10_000).startswith(b"HTTP/1.1 200 OK\r\n")
    world.session, world.waits = client.tls.session, False
    assert world.connect(context).tls.session_reused


def test_a_handshake_without_a_request_is_finished(world: World) -> None:
    """Its tickets are sent at once: nobody knows whether a request ever comes."""
    wire = Socket()
    client = world.client(wire=wire)
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.do_handshake()
    client.exchange()
    client.tls.do_handshake()
    wire.sent.clear()

    client.exchange()

    assert 1 == len(wire.sent)


def test_a_socket_that_takes_a_part(world: World) -> None:
    """The rest goes out by way of the reactor, in order, and so does all that follows."""
    wire = Socket()
    client = world.connect(wire=wire)
    wire.sent.clear()
    wire.room = 50

    first, second = client.ask(), client.ask(LAST_REQUEST)

    assert [50] == [len(data) for data in wire.sent]
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert second.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_socket_that_is_lost(world: World) -> None:
    """Is Twisted's to find out, as with every other write."""
    wire = Socket()
    client = world.connect(wire=wire)
    wire.error = ConnectionLost()

    client.ask()

    assert not wire.disconnecting


def test_a_long_answer(world: World) -> None:
    """It takes many records; not a byte is missing."""
    body = bytes(range(256)) * 800
    world.answer = answers.text_page(body)
    client = world.connect()
    client.tls.write(LAST_REQUEST)
    client.exchange()

    received = b"".join(iter(lambda: client.tls.read(100_000), b""))

    assert body == received.partition(b"\r\n\r\n")[2]


# However it arrives


@pytest.mark.parametrize("version", VERSIONS)
def test_byte_by_byte(world: World, version: ssl.TLSVersion) -> None:
    """The whole connection in single bytes, as a slow client's arrive."""
    client = world.client(
        of_version(world.ca.client(*BROWSER), version),
        cut=lambda data: [data[n : n + 1] for n in range(len(data))],
    )

    client.handshake()

    assert client.ask(LAST_REQUEST).startswith(b"HTTP/1.1 200 OK\r\n")


@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=30))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_in_any_pieces(world: World, sizes: list[int]) -> None:
    """Handshake, two requests and the end, cut anywhere: the same answers."""

    def cut(data: bytes) -> Iterator[bytes]:
        for size in sizes:
            yield data[:size]
            data = data[size:]
        yield data

    client = world.client(cut=cut)
    client.handshake()

    found = [client.ask(), client.ask(LAST_REQUEST), client.tls.read(100)]
    client.end()

    assert [b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK", b""] == [each[:15] for each in found]


@given(noise=st.binary(min_size=1, max_size=300), established=st.booleans())
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_noise_harms_nobody(world: World, noise: bytes, established: bool) -> None:
    """Whatever comes, before or after the handshake: no traceback, no answer, a free place."""
    client = world.client()
    if established:
        client.handshake()
    world.waits = True

    assert client.protocol is not None
    client.protocol.dataReceived(noise)
    client.protocol.dataReceived(noise)
    world.turns.advance(0)

    assert [] == world.asked
    client.end()
    assert client.wire.disconnecting or not client.wire.value().startswith(b"\x17")
    assert world.admission.open == 0


# Ends


def test_an_end_waits_for_the_client(world: World) -> None:
    """TCP stays until the client hangs up: a reset could overtake the last answer."""
    client = world.connect()

    client.ask(LAST_REQUEST)
    before = client.wire.disconnecting
    client.hang_up()

    assert (False, True) == (before, client.wire.disconnecting)


def test_a_client_that_hangs_up(world: World) -> None:
    """Is given the same word back; a request under way is answered to nobody."""
    world.waits = True
    client = world.connect()
    client.tls.write(REQUEST)
    client.exchange()

    client.hang_up()
    world.asked.pop()(answers.ROOT)
    client.exchange()

    assert client.wire.disconnecting
    with pytest.raises(ssl.SSLZeroReturnError):
        client.tls.read(100)


def test_a_client_that_hangs_up_and_takes_nothing(world: World) -> None:
    """What feeds the connection is let go of: Twisted would wait for it for ever."""
    client = world.connect()
    assert client.wire.producer is not None

    client.hang_up()

    assert client.wire.producer is None


@pytest.mark.parametrize("stage", ["silent", "in the hello", "established", "under way"])
def test_a_client_that_is_gone(world: World, stage: str) -> None:
    """Without a word, at any moment: its place is free, and an answer that comes late harms not."""
    world.waits = True
    client = world.client()
    assert client.protocol is not None
    if stage == "in the hello":
        client.protocol.dataReceived(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    elif stage != "silent":
        client.handshake()
    if stage == "under way":
        client.tls.write(REQUEST)
        client.exchange()

    client.end()
    for respond in world.asked:
        respond(answers.ROOT)
    world.turns.advance(0)

    assert world.admission.open == 0
    assert b"" == client.wire.value()


def test_an_answer_of_a_turn_in_which_the_client_goes(world: World) -> None:
    """It was written, and the connection ended before the turn did."""
    world.waits = True
    client = world.connect()
    client.tls.write(REQUEST)
    client.exchange()

    world.asked.pop()(answers.ROOT)
    client.end()
    world.turns.advance(0)

    assert b"" == client.wire.value()


def test_nothing_is_heard_after_the_end(world: World) -> None:
    """A request that crosses our word of the end is no hit, as if it had come later."""
    world.waits = True
    client = world.connect()

    world.hits.end_idle()
    client.tls.write(REQUEST)
    client.exchange()

    assert [] == world.asked
    assert b"" == client.tls.read(100)


def test_the_end_in_the_midst_of_a_handshake(world: World) -> None:
    """There is no session to close in good order: the connection is closed."""
    client = world.client()
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.do_handshake()
    client.exchange()

    world.hits.end_idle()
    client.exchange()

    assert client.wire.disconnecting


def test_a_late_client_is_cut(world: World) -> None:
    """At its deadline, and nothing more is sent to it, not even what was written in that turn."""
    world.waits = True
    client = world.connect()
    client.tls.write(REQUEST)
    client.exchange()

    world.asked.pop()(answers.ROOT)
    world.clock.advance(100)
    world.hits.sweep()
    world.turns.advance(0)

    assert client.wire.disconnected
    assert b"" == client.wire.value()


def test_a_fault_gets_its_alert(world: World) -> None:
    """A record that was tampered with: what came before it counts, then comes the end."""
    world.waits = True
    client = world.connect()
    client.tls.write(REQUEST)
    assert client.protocol is not None

    good = client._outgoing.read()
    client.protocol.dataReceived(good + good)

    assert 1 == len(world.asked)
    assert client.wire.disconnecting
    client._incoming.write(client.wire.value())
    with pytest.raises(ssl.SSLError, match=r"(?i)bad.record.mac"):
        client.tls.read(100)


# Memory, patience


def test_who_says_nothing_costs_no_engine(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """20 KiB each: they are made when the first byte has come."""
    monkeypatch.setattr(world.contexts, "engine", lambda: 1 / 0)

    client = world.client()

    client.end()
    assert world.admission.open == 0


def test_an_ended_connection_leaves_no_garbage(world: World) -> None:
    """It is freed at once, without the collector: a thousand a second would keep that busy."""
    client = world.connect()
    client.ask(LAST_REQUEST)
    ended = weakref.ref(client.protocol)

    client.end()

    assert ended() is None


def test_nothing_is_read_while_the_room_is_full(world: World) -> None:
    """But at the end the client is listened to, to see it hang up."""
    client = world.connect()
    wire = client.wire
    for _ in range(20_000):
        world.room.enter()

    full = wire.producerState
    world.hits.end_idle()

    assert ("paused", "producing") == (full, wire.producerState)


def test_a_client_that_takes_nothing_is_not_read(world: World) -> None:
    """Twisted pauses the channel when too much waits for the socket, and the channel TLS."""
    client = world.connect()
    wire = client.wire
    assert wire.producer is not None

    wire.producer.pauseProducing()
    paused = wire.producerState
    wire.producer.resumeProducing()

    assert ("paused", "producing") == (paused, wire.producerState)
