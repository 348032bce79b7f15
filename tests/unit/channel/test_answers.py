"""Answers leave at once, in order, one a request."""

from openclick_sidecar import answers
from openclick_sidecar.hit_factory import HitFactory
from unit.channel.hit_connections import GET, Connection, Site, Socket, Wrapped


def test_an_answer_leaves_at_once(factory: HitFactory) -> None:
    """The socket takes it: nothing is left for a further round of the reactor."""
    wire = Socket()
    connection = Connection(factory, wire)

    buffered = connection.send(GET)

    assert wire.sent.startswith(b"HTTP/1.1 302 Found\r\n")
    assert buffered == b""


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
