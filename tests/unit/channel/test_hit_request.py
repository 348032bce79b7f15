"""The fields of a request, and the request that is read whole."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openclick_sidecar import answers
from openclick_sidecar.hit_factory import HitFactory
from openclick_sidecar.hit_request import (
    MAX_WHOLE_BYTES,
    MAX_WHOLE_FIELDS,
    FieldMap,
    read_whole_get,
)
from support.clock import Clock
from unit.channel.hit_connections import GET, HOST, Connection, Site, a_factory


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


PLAIN = (
    b"GET /c/TOKEN?x=1 HTTP/1.1\r\nHost: track.kontor.example\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n\r\n"
)


def test_a_whole_get_is_read_at_once() -> None:
    """Path and fields, names in lower case, values without the blanks around them."""
    read = read_whole_get(PLAIN.replace(b"*/*", b"*/*  "))

    assert read is not None
    assert (read.path, read.closes) == ("/c/TOKEN?x=1", False)
    assert {name: read.fields.values(name) for name in read.fields} == {
        b"host": [b"track.kontor.example"],
        b"user-agent": [b"Mozilla/5.0 (X11; Linux x86_64)"],
        b"accept": [b"*/*"],
    }


@pytest.mark.parametrize(
    ("wish", "closes"), [(b"keep-alive", False), (b"Keep-Alive", False), (b"close", True)]
)
def test_the_two_wishes_of_a_client_are_understood(wish: bytes, closes: bool) -> None:
    """What image proxies and browsers say; anything else is the parser's."""
    read = read_whole_get(PLAIN[:-2] + b"Connection: " + wish + b"\r\n\r\n")

    assert read is not None
    assert read.closes is closes


@pytest.mark.parametrize(
    "data",
    [
        b"",
        PLAIN[:-1],
        PLAIN[:-2],
        PLAIN + b"\n",
        PLAIN + b"x",
        PLAIN + PLAIN,
        b"\r\n" + PLAIN,
        PLAIN.replace(b"GET", b"HEAD"),
        PLAIN.replace(b"GET", b"get"),
        PLAIN.replace(b"1.1", b"1.0"),
        PLAIN.replace(b" /c", b" http://x/c"),
        PLAIN.replace(b" /c", b"  /c"),
        PLAIN.replace(b"TOKEN", b"TOK EN"),
        PLAIN.replace(b"TOKEN", b"TOK\x00EN"),
        PLAIN.replace(b"TOKEN", b"TOK\xc3\xa4EN"),
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"Host: track.kontor.example\r\n", b""),
        PLAIN[:-2] + b"host: other.example\r\n\r\n",
        PLAIN[:-2] + b"Accept: again\r\n\r\n",
        PLAIN.replace(b"Accept: */*", b"Accept:*/*"),
        PLAIN.replace(b"Accept: */*", b"Accept: "),
        PLAIN.replace(b"Accept: */*", b"Accept : */*"),
        PLAIN.replace(b"Accept: */*", b" folded"),
        PLAIN.replace(b"Accept: */*", b"no colon"),
        PLAIN.replace(b"*/*", b"a\rb"),
        PLAIN.replace(b"*/*", b"a\nb"),
        PLAIN.replace(b"*/*", b"a\x00b"),
        PLAIN.replace(b"*/*", b"\xc3\xa4"),
        PLAIN[:-2] + b"Content-Length: 0\r\n\r\n",
        PLAIN[:-2] + b"Content-Length: 3\r\n\r\n",
        PLAIN[:-2] + b"Transfer-Encoding: chunked\r\n\r\n",
        PLAIN[:-2] + b"Expect: 100-continue\r\n\r\n",
        PLAIN[:-2] + b"Connection: Upgrade\r\n\r\n",
        PLAIN[:-2] + b"Connection: close\r\nContent-Length: 3\r\n\r\n",
        PLAIN[:-2] + b"X: " + b"x" * MAX_WHOLE_BYTES + b"\r\n\r\n",
        PLAIN[:-2] + b"".join(b"X%d: 1\r\n" % n for n in range(MAX_WHOLE_FIELDS)) + b"\r\n",
    ],
)
def test_everything_else_is_left_to_the_parser(data: bytes) -> None:
    """Cut, pipelined, repeated, folded, steering, odd, long: nothing is guessed."""
    assert read_whole_get(data) is None


def outcome(*pieces: bytes) -> tuple[list[tuple[object, ...]], bytes, bool, int]:
    """Return what reached the site, what was answered, whether it ended, and refusals counted."""
    site = Site()
    factory = a_factory(site, Clock())
    connection = Connection(factory)
    for piece in pieces:
        if not connection.wire.disconnecting:
            connection.channel.dataReceived(piece)
    connection.hang_up()
    asked: list[tuple[object, ...]] = [
        (*request[:4], {name: list(request.fields.values(name)) for name in request.fields})
        for request in site.requests
    ]
    wire = connection.wire
    return asked, wire.value(), wire.disconnecting, factory.counters.bad_requests


_PIECES = st.sampled_from(
    [
        *(PLAIN, GET, HOST, b"GET /o/T HTTP/1.1\r\n", b"GET / HTTP/1.0\r\n", b"\r\n", b"\r\n\r\n"),
        *(b"Connection: close\r\n", b"Connection: keep-alive, close\r\n", b"Expect: 1\r\n"),
        *(b"Content-Length: 0\r\n", b"Accept: a  \r\n", b"Accept:\tb\r\n", b"Accept: \xe9\r\n"),
        *(b" ", b":", b"\t", b"\r", b"\n", b"\x00", b"\x7f", b"x" * 5000, b"_", b"HTTP/1.1"),
    ]
)


@settings(max_examples=600)
@given(st.lists(st.one_of(_PIECES, st.binary(max_size=4)), max_size=10).map(b"".join))
@example(PLAIN)
@example(PLAIN[:-2] + b"Connection: close\r\n\r\n")
@example(PLAIN[:-2] + b"Connection: keep-alive\r\n\r\n")
@example(PLAIN[:-2] + b"Keep-Alive: 5 \r\n\r\n")
def test_reading_whole_is_the_parsers_reading(data: bytes) -> None:
    """The same bytes in one piece, and with the first byte apart, come to the same end."""
    whole = outcome(data)

    parsed = outcome(data[:1], data[1:])

    assert whole == parsed


def test_most_requests_are_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the comparison above would compare the parser with itself."""
    monkeypatch.setattr("openclick_sidecar.channel.read_whole_get", lambda _data: None)
    parsed = outcome(PLAIN, PLAIN)
    monkeypatch.undo()
    monkeypatch.setattr("twisted.web.http.HTTPChannel.dataReceived", None)

    read = outcome(PLAIN, PLAIN)

    assert read == parsed
    assert len(read[0]) == 2


def test_what_comes_before_the_answer_waits_for_it(site: Site, connection: Connection) -> None:
    """A client that does not wait is read no further, and is served in order."""
    site.at_once = False
    connection.send(GET.replace(b"TOKEN", b"first"))
    connection.send(GET.replace(b"TOKEN", b"second") + GET.replace(b"TOKEN", b"third"))
    paused = connection.wire.producerState

    begun = []
    while site.waiting:
        begun.append([request.path for request in site.requests])
        site.waiting.pop()(answers.redirect(site.requests[-1].path.encode()))

    assert paused == "paused"
    assert [["/c/first"], ["/c/first", "/c/second"], ["/c/first", "/c/second", "/c/third"]] == begun
    assert connection.wire.producerState == "producing"
    assert connection.wire.value().count(b"HTTP/1.1 302 ") == 3


def test_what_comes_early_waits_for_a_client_that_takes_no_answers(
    site: Site, connection: Connection
) -> None:
    """Its transport says when it does; until then nothing more is read."""
    site.at_once = False
    connection.send(GET)
    connection.send(GET)
    connection.channel.pauseProducing()

    site.waiting.pop()(answers.IMAGE)
    site.waiting.pop()(answers.IMAGE)
    before = connection.wire.producerState
    connection.channel.resumeProducing()

    assert (before, connection.wire.producerState) == ("paused", "producing")
    assert len(site.requests) == 2


def test_what_came_early_is_dropped_with_a_connection_that_closes(
    factory: HitFactory, site: Site, connection: Connection
) -> None:
    """The client was told, or asked for it."""
    site.at_once = False
    connection.send(GET)
    connection.send(GET)
    factory.end_idle()

    site.waiting.pop()(answers.IMAGE)

    assert b"Connection: close\r\n" in connection.wire.value()
    assert connection.wire.disconnecting
    assert len(site.requests) == 1
