"""What is no request is refused, alike by both of Twisted's parsers, and counted."""

import pytest

from openclick_sidecar.hit_factory import HitFactory
from unit.channel.hit_connections import (
    GET,
    HOST,
    Connection,
    Site,
    status,
)


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
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /" + b"x" * 9000,
        GET[:-2] + b"X: " + b"x" * 9000 + b"\r\n\r\n",
        GET[:-2] + b"X: " + b"x" * 9000,
        GET[:-2] + b"".join(b"X%d: %s\r\n" % (n, b"x" * 4000) for n in range(9)) + b"\r\n",
        GET[:-2] + b"".join(b"X: %d\r\n" % n for n in range(65)) + b"\r\n",
    ],
    ids=["line", "endless line", "field", "endless field", "block", "count"],
)
def test_oversized_requests_are_refused(connection: Connection, site: Site, data: bytes) -> None:
    """8 KiB a line, 32 KiB and 64 fields in all: beyond that 400, and the connection ends."""
    answer = connection.send(data)

    assert status(answer) == 400
    assert connection.wire.disconnecting
    assert [] == site.requests


@pytest.mark.parametrize(
    "data",
    [
        GET.replace(b" /c", b" c"),
        GET[:-2] + b"Content-Length: 3\r\n\r\n",
        GET[:-2] + b"no colon\r\n\r\n",
        GET[:-2] + b"Content-Length: x\r\nA: b\r\n\r\n",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n",
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
