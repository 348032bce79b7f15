"""Dialling: one look-up, every address checked, that very address connected to."""

import pytest
import pytest_twisted
from twisted.internet.defer import fail

from openclick_sidecar.dialling import ANSWER_BYTES, NameFault
from openclick_sidecar.post import PostOutcome
from unit.memory_net import ADDRESS, QUIET_SECONDS, Exchange, poster_on, until
from unit.spellings import FORBIDDEN_ADDRESSES, FORBIDDEN_HOSTS

URL = "http://hooks.kontor.example:8080/in"


@pytest.fixture
def exchange() -> Exchange:
    """Return a poster; nothing is kept open by these tests."""
    return Exchange(URL)


@pytest.mark.parametrize("host", FORBIDDEN_HOSTS)
@pytest_twisted.ensureDeferred
async def test_a_forbidden_host(exchange: Exchange, host: str) -> None:
    """No connection is begun, however it is spelled; a spelling that no client takes is refused."""
    exchange.post(f"http://{host}/in")

    reply = await exchange.reply()

    assert [] == exchange.dialled()
    assert [] == exchange.net.asked
    assert (None, False) == (reply.status_code, reply.accepted)
    assert reply.outcome in (PostOutcome.FORBIDDEN_ADDRESS, PostOutcome.BROKEN)


@pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES)
@pytest_twisted.ensureDeferred
async def test_a_name_that_leads_to_a_forbidden_address(exchange: Exchange, address: str) -> None:
    """Nor where it leads to a free one too: every address is checked."""
    exchange.net.addresses["hooks.kontor.example"] = ("8.8.8.8", address)

    exchange.post()

    reply = await exchange.reply()
    assert [] == exchange.dialled()
    assert reply.outcome is PostOutcome.FORBIDDEN_ADDRESS
    assert reply.error.startswith("hooks.kontor.example leads to ")


@pytest_twisted.ensureDeferred
async def test_what_was_checked_is_dialled(exchange: Exchange) -> None:
    """A name server that changes its answer changes nothing: it is asked once."""
    exchange.net.addresses["hooks.kontor.example"] = ("8.8.8.8",)
    exchange.post()
    exchange.net.addresses["hooks.kontor.example"] = ("127.0.0.1",)
    await exchange.net.refuse()
    await exchange.reply()

    exchange.post()

    second = await exchange.reply()
    assert ["8.8.8.8"] == exchange.dialled()
    assert ["hooks.kontor.example"] * 2 == exchange.net.asked
    assert second.outcome is PostOutcome.FORBIDDEN_ADDRESS


@pytest_twisted.ensureDeferred
async def test_the_next_address_is_tried(exchange: Exchange) -> None:
    """IPv4 first; the last one's fault is told."""
    exchange.net.addresses["hooks.kontor.example"] = ("2600::1", "8.8.8.8", ADDRESS)
    exchange.post()
    for _ in range(3):
        await exchange.net.refuse()

    reply = await exchange.reply()

    assert ["8.8.8.8", ADDRESS, "2600::1"] == exchange.dialled()
    assert reply.outcome is PostOutcome.CONNECT


@pytest_twisted.ensureDeferred
async def test_a_name_that_leads_nowhere(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name server's word reaches the admin."""
    fault = NameFault("hooks.kontor.example: there is no such name")
    monkeypatch.setattr(exchange.net, "resolve", lambda _name: fail(fault))
    exchange.poster = poster_on(exchange.net)

    exchange.post()

    reply = await exchange.reply()
    assert (PostOutcome.NAME, str(fault)) == (reply.outcome, reply.error)


@pytest_twisted.ensureDeferred
async def test_an_answer_is_cut(exchange: Exchange) -> None:
    """Header fields without end: the connection is ended, and nothing is kept."""
    exchange.post()
    receiver = await exchange.net.take()
    receiver.answer(b"HTTP/1.1 200 OK\r\n")
    field = b"X-Long: %s\r\n" % (b"y" * 8000)
    for _ in range(ANSWER_BYTES // len(field) + 1):
        receiver.answer(field)

    assert receiver.hung_up
    receiver.end()
    assert (await exchange.reply()).outcome is PostOutcome.BROKEN


@pytest_twisted.ensureDeferred
async def test_a_receiver_that_never_hangs_up(exchange: Exchange) -> None:
    """A goodbye that nobody answers, as TLS waits for, holds no connection for ever."""
    exchange.post()
    receiver = await exchange.net.take()
    receiver.answer(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 10_000)
    await exchange.reply()
    exchange.net.advance(QUIET_SECONDS - 0.1)
    ended, early = receiver.hung_up, receiver.was_cut

    exchange.net.advance(0.2)

    assert (True, False, True) == (ended, early, receiver.was_cut)


@pytest_twisted.ensureDeferred
async def test_a_connection_that_is_used_again(exchange: Exchange) -> None:
    """Each request has its whole time, and what has ended leaves no clock behind."""
    exchange.post()
    receiver = await exchange.net.take()
    for _ in range(3):
        await until(lambda: receiver.received.endswith(b"{}"))
        exchange.net.advance(14)
        receiver.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await exchange.reply()
        exchange.net.advance(3)
        receiver.forget()
        exchange.post()
    was_cut = receiver.was_cut

    receiver.end()
    await exchange.reply()

    assert not was_cut
    assert [] == exchange.net.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_an_ipv6_address(exchange: Exchange) -> None:
    """Dialled as it is, nothing looked up; the Host field has its brackets."""
    exchange.post("http://[2600::1]:8080/in")
    receiver = await exchange.net.take()
    await until(lambda: receiver.received.endswith(b"{}"))

    assert (["2600::1"], []) == (exchange.dialled(), exchange.net.asked)
    assert b"\r\nHost: [2600::1]:8080\r\n" in receiver.received
    receiver.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    assert (await exchange.reply()).accepted


@pytest_twisted.ensureDeferred
async def test_plain_http_needs_the_setting(exchange: Exchange) -> None:
    """Also for a webhook that was added while it was on: nothing is dialled."""
    exchange.poster = poster_on(exchange.net, allow_http=False)

    exchange.post()

    reply = await exchange.reply()
    assert [] == exchange.dialled()
    assert (PostOutcome.FORBIDDEN_ADDRESS, True) == (
        reply.outcome,
        "webhooks.allow_http" in reply.error,
    )
