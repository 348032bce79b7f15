"""TLS between TCP and the channel, in memory: what goes out when, and what together."""

import ssl

import pytest
from twisted.internet.error import ConnectionLost

from openclick_sidecar import answers
from unit.tls.tls_world import BROWSER, LAST_REQUEST, REQUEST, Socket, World, of_version


def records(data: bytes) -> list[int]:
    """Return the content type of each record of TLS (RFC 8446, 5.1)."""
    kinds = []
    while data:
        kinds.append(data[0])
        data = data[5 + int.from_bytes(data[3:5], "big") :]
    return kinds


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
