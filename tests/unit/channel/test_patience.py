"""Who is waited for, and how long: deadlines, a full room, the end."""

from openclick_sidecar import answers
from openclick_sidecar.channel import HEADER_SECONDS, KEEP_ALIVE_SECONDS
from openclick_sidecar.hit_factory import ANSWER_SECONDS, HitFactory
from openclick_sidecar.waiting_room import WaitingRoom
from support.clock import Clock
from unit.channel.hit_connections import GET, Connection, Site, a_factory


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


def test_who_overstays_is_counted(factory: HitFactory, clock: Clock) -> None:
    """So that an admin sees a slow-loris."""
    Connection(factory)
    clock.advance(HEADER_SECONDS)

    factory.sweep()

    assert factory.counters.late_connections == 1


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


def test_an_answer_reads_on_where_the_room_has_space_again(site: Site, clock: Clock) -> None:
    """The room filled and emptied while the request was under way: the next one is read."""
    room = WaitingRoom(1)
    site.at_once = False
    connection = Connection(a_factory(site, clock, room))
    connection.send(GET)
    room.enter()
    room.leave()

    site.waiting.pop()(answers.IMAGE)

    assert connection.wire.producerState == "producing"
    connection.send(GET)
    assert len(site.requests) == 2


def test_an_answer_in_a_full_room_leaves_reading_to_the_room(site: Site, clock: Clock) -> None:
    """It begins again once, when there is space."""
    room = WaitingRoom(1)
    site.at_once = False
    connection = Connection(a_factory(site, clock, room))
    connection.send(GET)
    room.enter()
    site.waiting.pop()(answers.IMAGE)
    paused = connection.wire.producerState

    room.leave()

    assert (paused, connection.wire.producerState) == ("paused", "producing")


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
