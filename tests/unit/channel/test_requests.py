"""HTTP on the public listener, driven with raw bytes: alike on Debian's Twisted and the newest."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from openclick_sidecar import answers
from openclick_sidecar.hit_factory import HitFactory
from support.clock import Clock
from unit.channel.hit_connections import GET, HOST, Connection, Site, Wire, a_factory, status


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


def test_content_length_0_is_no_body(connection: Connection) -> None:
    """Some clients always send the field."""
    answer = connection.send(GET[:-2] + b"Content-Length: 0\r\n\r\n")

    assert status(answer) == 302


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


def test_the_longest_tracking_url_fits(connection: Connection) -> None:
    """2,000 characters and what scanners hang on."""
    assert (
        status(connection.send(b"GET /c/" + b"x" * 3900 + b" HTTP/1.1\r\n" + HOST + b"\r\n")) == 302
    )


@pytest.mark.parametrize("size", [100, 4000, 4100, 8000])
def test_cookies_of_the_parent_domain_are_borne(connection: Connection, size: int) -> None:
    """A browser sends them all to the tracking domain too, in one line."""
    cookie = b"Cookie: consent=" + b"x" * size + b"\r\n"

    answer = connection.send(GET[:-2] + cookie + b"\r\n")

    assert status(answer) == 302


def test_a_long_block_of_fields_is_borne(connection: Connection) -> None:
    """What proxies add comes on top of a long cookie."""
    fields = b"".join(b"X-%d: %s\r\n" % (n, b"x" * 7000) for n in range(4))

    answer = connection.send(GET[:-2] + fields + b"\r\n")

    assert status(answer) == 302


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
