"""TLS between TCP and the channel, in memory: how a connection ends, in good order or not."""

import ssl

import pytest

from openclick_sidecar import answers
from unit.tls.tls_world import LAST_REQUEST, REQUEST, World


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
