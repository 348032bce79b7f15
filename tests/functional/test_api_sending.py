"""Sending once: repeats, restarts, kills, and a Postfix that is away, refuses, or hangs.

The sidecar runs alone here; what stands for Postfix is a server whose answers the test decides.
"""

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import anypost
import pytest

from support.api_client import DOMAIN, EMAIL, ApiAnswer, ApiClient
from support.installation import Installation
from support.processes import LOOPBACK, free_port, wait_until
from support.smtp_hold import SmtpHold
from support.smtp_sink import SmtpSink


class World:
    """One installation whose API submits to `port`."""

    def __init__(self, installation: Installation, port: int, **api: Any) -> None:
        self.installation = installation
        self.point_to(port, **api)
        installation.init()
        installation.openclick("domain", "add", DOMAIN)
        self.client = ApiClient(installation)
        self.sidecar = installation.start_sidecar()

    def point_to(self, port: int, **api: Any) -> None:
        """Write the settings."""
        submit_to: Mapping[str, object] = {"submit_to": f"{LOOPBACK}:{port}", **api}
        self.installation.configure(f"unix:{self.installation.directory}/m.sock", 53, api=submit_to)

    def send(self, key: str | None = None, **fields: Any) -> ApiAnswer:
        """Send the usual email with these fields."""
        return self.post("/v1/email", {**EMAIL, **fields}, key)

    def post(self, path: str, body: Any, key: str | None = None) -> ApiAnswer:
        """Ask with an Idempotency-Key, or without one."""
        return self.client.ask("POST", path, body, **({"Idempotency_Key": key} if key else {}))

    def restart(self, *, kill: bool = False) -> None:
        """End the sidecar, in order or by kill -9, and start it again."""
        if kill:
            self.sidecar.kill9()
        self.sidecar.close()
        self.sidecar = self.installation.start_sidecar()


@contextmanager
def world_before(port: int, **api: Any) -> Iterator[World]:
    """Give an API that submits to a port."""
    with Installation() as installation:
        yield World(installation, port, **api)


@contextmanager
def in_background(world: World, key: str | None, **fields: Any) -> Iterator[Future[ApiAnswer]]:
    """Send from another thread."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(world.send, key, **fields)


def email_id_of(content: bytes) -> str:
    """Return the id that a message carries."""
    match = re.search(rb"^X-OpenClick-Id: (email_[0-9a-f-]+)", content, re.MULTILINE)
    assert match is not None
    return match[1].decode()


def test_a_repeat_gets_the_first_answer() -> None:
    """At once and after a restart; nothing is sent again, and another body is refused."""
    with SmtpSink() as sink, world_before(sink.port) as world:
        first = world.send("order-1")
        repeats = [world.send("order-1")]
        world.restart()
        repeats.append(world.send("order-1"))
        other = world.send("order-1", subject="Shoes")
        elsewhere = world.post("/v1/email/batch", EMAIL, "order-1")
        free = world.send("order-2")
        sent = list(sink.messages)

    assert first.status == 202
    assert [repeat.json for repeat in repeats] == [first.json, first.json]
    assert [repeat.status for repeat in repeats] == [202, 202]
    assert other.error == (422, "idempotency_mismatch")
    assert elsewhere.error == (422, "validation_error")
    assert [email_id_of(m.content) for m in sent] == [first.json["id"], free.json["id"]]


@pytest.mark.parametrize("key", ["", "x" * 256, "käse", "a\tb"])
def test_names_that_cannot_be(key: str) -> None:
    """1 to 255 printable ASCII characters; nothing is sent for any other."""
    with SmtpSink() as sink, world_before(sink.port) as world:
        answer = world.client.ask("POST", "/v1/email", EMAIL, Idempotency_Key=key)

    assert answer.error == (400, "validation_error")
    assert sink.messages == []


def test_a_repeat_while_the_first_is_under_way() -> None:
    """409; the first one then ends as if nothing had been."""
    with (
        SmtpHold() as hold,
        world_before(hold.port) as world,
        in_background(world, "order-1") as first,
    ):
        wait_until(lambda: hold.taken, 10, "the message")
        second = world.send("order-1")
        hold.release()
        answer = first.result()

    assert second.error == (409, "idempotency_concurrent")
    assert answer.status == 202
    assert len(hold.taken) == 1


def test_too_many_messages_wait() -> None:
    """429 with Retry-After, and nothing of it is sent."""
    with (
        SmtpHold() as hold,
        world_before(hold.port, max_waiting=1) as world,
        in_background(world, None) as first,
    ):
        wait_until(lambda: hold.taken, 10, "the message")
        second = world.send(None)
        whoami = world.client.ask("GET", "/v1/whoami")
        hold.release()
        answer = first.result()

    assert second.error == (429, "rate_limit_exceeded")
    assert second.response.header("retry-after") == "2"
    assert (whoami.status, answer.status) == (200, 202)
    assert len(hold.taken) == 1


def test_postfix_is_away() -> None:
    """503 and nothing sent; the key is free again, so the repeat sends."""
    port = free_port()
    with world_before(port) as world:
        away = world.send("order-1")
        batch_away = world.post("/v1/email/batch", {"emails": [EMAIL]}, "batch-1")
        with SmtpSink(port) as sink:
            later = world.send("order-1", subject="Shoes")
            batch_later = world.post("/v1/email/batch", {"emails": [EMAIL]}, "batch-1")
            sent = len(sink.messages)

    assert away.error == batch_away.error == (503, "internal_error")
    assert away.response.header("retry-after") == "5"
    assert "nothing was sent" in away.json["error"]["message"]
    assert (later.status, batch_later.status) == (202, 202)
    assert sent == 2


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("451 4.3.0 come again", (503, "internal_error")),
        ("550 5.7.1 not this one", (422, "validation_error")),
    ],
)
def test_postfix_refuses(reply: str, error: tuple[int, str]) -> None:
    """4xx is a 503, 5xx a 422, each in Postfix's words; the connection serves the next message."""
    with SmtpSink() as sink, world_before(sink.port) as world:
        sink.refuse(reply)
        refused = world.send("order-1")
        sink.refuse(None)
        taken = world.send("order-1")

    assert refused.error == error
    assert f"Postfix says {reply}" in refused.json["error"]["message"]
    assert taken.status == 202


def test_a_connection_that_postfix_has_closed() -> None:
    """Is dialled anew, and nobody notices."""
    port = free_port()
    with SmtpSink(port) as sink, world_before(port) as world:
        first = world.send()
        sink.close()
        with SmtpSink(port) as again:
            second = world.send()
            sent = len(again.messages)

    assert (first.status, second.status, sent) == (202, 202, 1)


def test_a_connection_that_postfix_has_given_up() -> None:
    """Postfix says 421 to one that was idle, long before the next message: a new one is made."""
    with SmtpHold() as hold, world_before(hold.port) as world:
        hold.release()
        first = world.send()
        hold.say(b"421 4.4.2 hold.example Error: timeout exceeded\r\n")
        second = world.send()

    assert (first.status, second.status) == (202, 202)
    assert len(hold.taken) == 2


def test_a_message_in_doubt() -> None:
    """Killed before Postfix's answer was written down: the repeat sends with the same id."""
    with SmtpHold() as hold, world_before(hold.port) as world:
        with in_background(world, "order-1") as first:
            wait_until(lambda: hold.taken, 10, "the message")
            world.sidecar.kill9()
            with pytest.raises(OSError, match=r".*"):
                first.result()
        hold.release()
        world.restart()
        again = world.send("order-1")
        repeat = world.send("order-1")

    ids = [email_id_of(content) for content in hold.taken]
    assert again.status == 202
    assert repeat.json == again.json
    assert ids == [again.json["id"]] * 2


def test_a_connection_that_breaks_inside_the_message() -> None:
    """The answer says that it is in doubt, and a repeat has the same id."""
    with SmtpHold() as hold, world_before(hold.port) as world:
        with in_background(world, "order-1") as first:
            wait_until(lambda: hold.taken, 10, "the message")
            hold.hang_up()
            broken = first.result()
        hold.release()
        again = world.send("order-1")

    ids = [email_id_of(content) for content in hold.taken]
    assert broken.error == (503, "internal_error")
    assert "may have taken the message" in broken.json["error"]["message"]
    assert ids == [again.json["id"]] * 2


@pytest.mark.parametrize("reply", ["451 4.3.0 later", "550 5.7.1 no"])
def test_a_repeat_in_doubt_that_comes_to_nothing(reply: str) -> None:
    """The id outlives it: what was in doubt may have arrived with it."""
    with SmtpHold() as hold, world_before(hold.port) as world:
        with in_background(world, "order-1") as first:
            wait_until(lambda: hold.taken, 10, "the message")
            hold.hang_up()
            first.result()
        hold.release()
        hold.refuse(reply)
        refused = world.send("order-1")
        hold.refuse(None)
        again = world.send("order-1")

    ids = {email_id_of(content) for content in hold.taken}
    assert refused.status in (422, 503)
    assert ids == {again.json["id"]}


def test_batches_that_are_killed_half_way() -> None:
    """Every recipient gets the mail; twice only what was in flight at a kill, with the same id."""
    recipients = [f"r{number}@reader.example" for number in range(60)]
    body = {
        "defaults": {name: value for name, value in EMAIL.items() if name != "to"},
        "emails": [{"to": [recipient]} for recipient in recipients],
    }
    kills = 3
    with SmtpSink() as sink, world_before(sink.port) as world:
        for kill in range(kills):
            with ThreadPoolExecutor(1) as pool:
                asking = pool.submit(world.post, "/v1/email/batch", body, "batch-1")
                wanted = 10 * (kill + 1)
                wait_until(lambda n=wanted: len(sink.messages) >= n, 20, "some messages", 0.001)
                world.sidecar.kill9()
                asking.exception()
            world.restart()
        done = world.post("/v1/email/batch", body, "batch-1")
        repeat = world.post("/v1/email/batch", body, "batch-1")
        sent = list(sink.messages)

    counts = Counter(message.recipients[0] for message in sent)
    ids = {message.recipients[0]: email_id_of(message.content) for message in sent}
    answered = {
        recipient: entry["id"]
        for recipient, entry in zip(recipients, done.json["data"], strict=True)
    }
    assert (done.status, done.json["summary"]["queued"]) == (202, 60)
    assert repeat.json == done.json
    assert set(counts) == set(recipients)
    assert ids == answered
    assert sum(counts.values()) - len(recipients) <= 10 * kills


def test_a_stop_lets_requests_end() -> None:
    """SIGTERM takes no new request, and answers those that it has."""
    with (
        SmtpHold() as hold,
        world_before(hold.port) as world,
        in_background(world, None) as first,
        ThreadPoolExecutor(1) as pool,
    ):
        wait_until(lambda: hold.taken, 10, "the message")
        ending = pool.submit(world.sidecar.terminate, 30)
        time.sleep(0.5)
        hold.release()
        answer, status = first.result(), ending.result()

    assert answer.status == 202
    assert status == 0


def test_anyposts_client_knows_these_errors() -> None:
    """Its own exceptions, and its own repeats: with them on, a hanging Postfix is waited out."""
    with SmtpHold() as hold, world_before(hold.port, max_waiting=1) as world:
        base_url = f"http://{LOOPBACK}:{world.client.port}/v1"
        client = anypost.Anypost(world.client.secret, base_url=base_url, max_retries=0)
        patient = anypost.Anypost(world.client.secret, base_url=base_url, max_retries=2)
        with in_background(world, "order-1") as first, ThreadPoolExecutor(1) as pool:
            wait_until(lambda: hold.taken, 10, "the message")
            with pytest.raises(anypost.RateLimitError) as busy:
                client.email.send(EMAIL)
            waiting = pool.submit(patient.email.send, EMAIL)
            hold.release()
            first.result()
            sent = waiting.result()
        hold.close()
        with pytest.raises(anypost.APIError) as away:
            client.email.send(EMAIL)
        client.close()
        patient.close()

    assert busy.value.retry_after == 2
    assert sent["id"].startswith("email_")
    assert (away.value.status, away.value.type) == (503, "internal_error")


def test_anyposts_client_knows_a_request_under_way() -> None:
    """A conflict, told by its type."""
    with (
        SmtpHold() as hold,
        world_before(hold.port) as world,
        in_background(world, "order-1") as first,
        anypost.Anypost(
            world.client.secret, base_url=f"http://{LOOPBACK}:{world.client.port}/v1", max_retries=0
        ) as client,
    ):
        wait_until(lambda: hold.taken, 10, "the message")
        with pytest.raises(anypost.ConflictError) as conflict:
            client.email.send(EMAIL, idempotency_key="order-1")
        hold.release()
        first.result()

    assert conflict.value.type == "idempotency_concurrent"
