"""TLS between TCP and the channel, in memory: however it arrives, and what a connection costs."""

import ssl
import weakref
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from zope.interface.verify import verifyObject

from unit.tls.tls_world import BROWSER, LAST_REQUEST, PEER, VERSIONS, World, of_version


def test_it_is_a_transport(world: World) -> None:
    """As Twisted's channel wants one."""
    connection = world.connect().protocol

    for interface in (ITransport, IConsumer, IPushProducer):
        assert verifyObject(interface, connection)
    assert PEER == connection.getPeer()
    assert connection.getHost() == connection.transport.getHost()


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
