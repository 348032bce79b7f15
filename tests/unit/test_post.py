"""One POST: whatever a receiver or the network does, it is told in the reply."""

from collections.abc import AsyncIterator

import pytest
import pytest_twisted

from openclick_sidecar.post import EXCERPT_BYTES, PostOutcome, Reply
from unit.memory_net import Exchange, until

URL = "http://hooks.kontor.example:8080/in?a=b"
BODY = b'{"batch_id":"b1"}'


@pytest_twisted.async_yield_fixture
async def exchange() -> AsyncIterator[Exchange]:
    """Return a poster; its kept connections are closed at the end."""
    opened = Exchange(URL, BODY, {"X-Signed": "yes"})
    yield opened
    opened.poster.close()


@pytest_twisted.ensureDeferred
async def test_request(exchange: Exchange) -> None:
    """Method, target, Host, fields and body as they were handed in."""
    exchange.post()

    receiver = await exchange.received()

    head, _, body = receiver.received.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert receiver.port == 8080
    assert lines[0] == b"POST /in?a=b HTTP/1.1"
    assert {b"Host: hooks.kontor.example:8080", b"X-Signed: yes", b"Content-Length: 17"} <= set(
        lines
    )
    assert body == BODY
    receiver.answer(b"HTTP/1.1 204 No Content\r\n\r\n")
    await exchange.reply()


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
@pytest_twisted.ensureDeferred
async def test_any_2xx_is_accepted(exchange: Exchange, code: int) -> None:
    """The receiver has taken the batch."""
    exchange.post()
    receiver = await exchange.received()
    receiver.answer(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % code)

    reply = await exchange.reply()

    assert Reply(code, "", "", PostOutcome.ACCEPTED) == reply
    assert reply.accepted


@pytest.mark.parametrize("code", [300, 304, 400, 401, 404, 410, 429, 500, 503])
@pytest_twisted.ensureDeferred
async def test_nothing_else_is(exchange: Exchange, code: int) -> None:
    """The code is told."""
    exchange.post()
    receiver = await exchange.received()
    receiver.answer(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % code)

    reply = await exchange.reply()

    assert (code, f"answered {code}", "") == (reply.status_code, reply.error, reply.excerpt)
    assert not reply.accepted


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest_twisted.ensureDeferred
async def test_redirects_are_not_followed(exchange: Exchange, code: int) -> None:
    """Events go to the address that the admin named, and to no other."""
    exchange.post()
    receiver = await exchange.received()
    receiver.answer(
        b"HTTP/1.1 %d X\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n" % code
    )

    assert Reply(code, f"answered {code}", "", PostOutcome.REDIRECT) == await exchange.reply()
    assert exchange.net.waiting() == 0


@pytest_twisted.ensureDeferred
async def test_the_beginning_of_the_answer_is_kept(exchange: Exchange) -> None:
    """For the admin who asks why; what is no UTF-8 is replaced."""
    exchange.post()
    receiver = await exchange.received()
    receiver.answer(b"HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\nno \xff room")

    assert (await exchange.reply()).excerpt == "no \ufffd room"


@pytest_twisted.ensureDeferred
async def test_an_endless_answer_is_hung_up_on(exchange: Exchange) -> None:
    """Of any body only the beginning is read."""
    exchange.post()
    receiver = await exchange.received()
    receiver.answer(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100)
    receiver.answer(b"y" * 100_000)

    reply = await exchange.reply()

    assert (200, "x" * 100 + "y" * (EXCERPT_BYTES - 100)) == (reply.status_code, reply.excerpt)
    assert receiver.hung_up
    receiver.end()


@pytest_twisted.ensureDeferred
async def test_no_answer(exchange: Exchange) -> None:
    """The whole exchange ends within the time-out, and so does the connection."""
    exchange.post()
    receiver = await exchange.received()
    exchange.net.advance(14.9)
    assert [] == exchange.replies

    exchange.net.advance(0.2)

    late = Reply(None, "no whole answer within 15 s", "", PostOutcome.TIMEOUT)
    assert late == await exchange.reply()
    assert receiver.hung_up


@pytest_twisted.ensureDeferred
async def test_an_answer_that_trickles(exchange: Exchange) -> None:
    """No byte moves the time-out; the code alone is no whole answer."""
    exchange.post()
    receiver = await exchange.received()
    receiver.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    for _ in range(16):
        receiver.answer(b"x")
        exchange.net.advance(1)

    late = Reply(None, "no whole answer within 15 s", "", PostOutcome.TIMEOUT)
    assert late == await exchange.reply()
    assert receiver.hung_up


@pytest_twisted.ensureDeferred
async def test_nobody_takes_the_connection(exchange: Exchange) -> None:
    """Dialling counts towards the time-out."""
    exchange.post()
    await until(exchange.net.waiting)
    exchange.net.advance(15.1)

    assert (await exchange.reply()).error == "no whole answer within 15 s"


@pytest_twisted.ensureDeferred
async def test_connection_refused(exchange: Exchange) -> None:
    """The network's reason, in one line."""
    exchange.post()
    await exchange.net.refuse()

    reply = await exchange.reply()

    assert reply.status_code is None
    assert reply.error.startswith("ConnectionRefusedError: ")
    assert "\n" not in reply.error


@pytest_twisted.ensureDeferred
async def test_connection_lost_before_the_answer(exchange: Exchange) -> None:
    """Whether the batch was taken nobody knows: it is no success."""
    exchange.post()
    (await exchange.received()).end()

    reply = await exchange.reply()

    assert (None, False) == (reply.status_code, reply.accepted)
    assert reply.error.startswith("ConnectionDone: ")


@pytest_twisted.ensureDeferred
async def test_an_answer_that_is_no_http(exchange: Exchange) -> None:
    """Likewise."""
    exchange.post()
    receiver = await exchange.received()
    receiver.answer(b"220 mail.kontor.example ESMTP\r\n")

    reply = await exchange.reply()

    assert reply.status_code is None
    assert reply.error.startswith("ParseError: ")


@pytest.mark.parametrize("url", ["", "nonsense", "gopher://a.example/", "http://", "http://[::1/"])
@pytest_twisted.ensureDeferred
async def test_an_address_that_cannot_be_dialled(exchange: Exchange, url: str) -> None:
    """Never an exception: a webhook that was added by an older version may hold anything."""
    exchange.post(url)
    if exchange.net.waiting():
        await exchange.net.refuse()

    reply = await exchange.reply()

    assert reply.status_code is None
    assert reply.error


@pytest.mark.parametrize("code", [b"99999999999999999999", b"600", b"99", b"-1", b"0"])
@pytest_twisted.ensureDeferred
async def test_a_status_that_is_none(exchange: Exchange, code: bytes) -> None:
    """A number outside RFC 9110's 100 to 599 is a broken answer: nobody reads or keeps it."""
    exchange.post()
    receiver = await exchange.received()
    receiver.answer(b"HTTP/1.1 %b X\r\nContent-Length: 4\r\n\r\noops" % code)

    reply = await exchange.reply()

    assert (None, PostOutcome.BROKEN) == (reply.status_code, reply.outcome)
    assert "answered with a status outside 100 to 599" == reply.error


@pytest_twisted.ensureDeferred
async def test_connections_are_kept(exchange: Exchange) -> None:
    """The next POST to the same receiver dials no second time."""
    exchange.post()
    receiver = await exchange.received()
    receiver.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await exchange.reply()
    receiver.forget()

    exchange.post()
    await until(lambda: receiver.received.endswith(BODY))
    receiver.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    assert (await exchange.reply()).accepted
    assert exchange.net.waiting() == 0
