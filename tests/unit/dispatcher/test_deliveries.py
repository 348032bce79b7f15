"""Deliveries: written down before they are posted, posted until they are taken."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from openclick.events import Event
from openclick.instants import SECOND
from openclick.store import Registry, Store, open_store
from openclick.webhook_settings import WebhookSettings
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.dispatcher import Dispatcher, batch_body
from support.signatures import verify_signature, verify_standard_webhook
from unit.delivery_steps import go_round
from unit.memory_net import Dialled, MemoryNet, poster_on, turn, until
from unit.samples import NOW, SECRET, a_webhook, an_event, log_events

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
OOPS = b"HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\noops"
URL = "http://hooks.kontor.example/in"
CLAIM = 20


def parsed(request: bytes) -> tuple[dict[str, str], bytes]:
    """Return a request's fields by lower-case name, and its body."""
    head, _, body = request.partition(b"\r\n\r\n")
    pairs = [text.split(": ", 1) for text in head.decode().split("\r\n")[1:]]
    return {name.lower(): value for name, value in pairs}, body


class Post:
    """The dispatcher with a real store, a real poster, and receivers in memory."""

    def __init__(self, store: Store, settings: WebhookSettings) -> None:
        self.net = MemoryNet()
        self.now = NOW
        self.bookkeeper = Bookkeeper(store, reactor)
        self.poster = poster_on(self.net)
        self.settings = settings
        numbers = itertools.count(1)
        self.dispatcher = Dispatcher(
            self.bookkeeper,
            self.poster,
            self.settings,
            now=lambda: self.now,
            random=lambda: 0.5,
            new_batch_id=lambda: f"{next(numbers):032x}",
        )

    async def do(self, work: Callable[[Registry], Any]) -> Any:
        """Work on the store."""
        return await self.bookkeeper.run(work)

    async def add(self, numbers: range = range(1, 2), *webhook_ids: str) -> None:
        """Add webhooks, then events for them."""
        for webhook_id in webhook_ids or ("wh_1",):
            webhook = a_webhook(webhook_id=webhook_id, url=URL)
            await self.do(lambda registry, webhook=webhook: registry.webhooks.add(webhook))
        await self.do(lambda registry: log_events(registry, numbers))

    async def receive(self) -> tuple[Dialled, dict[str, str], Any]:
        """Wait for the next POST; return the connection, the fields and the body's JSON."""
        receiver = await self.net.take()
        await until(lambda: receiver.received.endswith(b"]}"))
        fields, body = parsed(receiver.received)
        return receiver, fields, json.loads(body)

    async def settle(self, count: int) -> None:
        """Wait until `count` attempts have been written down to their end."""
        end = time.monotonic() + 10
        while count != await self.do(_finished_attempts):
            assert time.monotonic() < end, f"never {count} finished attempts"
        await turn()  # the attempt's own end, on this thread

    async def take_next(self, receiver: Dialled, *, is_last: bool) -> None:
        """Answer what a receiver has got, and wait until it has got more."""
        receiver.forget()
        receiver.answer(OK)
        await until(lambda: is_last or receiver.received.endswith(b"]}"))

    async def finish(self) -> None:
        """Let attempts come to their end, and begin no other."""
        await self.dispatcher.stop(reactor, 5)

    async def deliveries(self) -> list[tuple[str, int, int]]:
        """Return state, number of attempts and seconds until the next one of each delivery."""
        rows = await self.do(_deliveries)
        return [(state, attempts, (at - NOW) // SECOND) for state, attempts, at in rows]


def _finished_attempts(registry: Registry) -> int:
    with registry._database.reading() as connection:
        row = connection.execute("SELECT count(*) FROM attempts WHERE finished_at NOTNULL")
        return int(row.fetchone()[0])


def _deliveries(registry: Registry) -> list[tuple[str, int, int]]:
    with registry._database.reading() as connection:
        rows = connection.execute(
            "SELECT state, attempts, next_attempt_at FROM deliveries ORDER BY delivery_id"
        ).fetchall()
    return [tuple(row) for row in rows]


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    """Return a dispatcher over an empty store."""
    made = Post(open_store(f"sqlite:{tmp_path}"), WebhookSettings())
    made.bookkeeper.start()
    yield made
    made.poster.close()
    made.bookkeeper.stop()


@pytest_twisted.ensureDeferred
async def test_events_are_posted(post: Post) -> None:
    """{batch_id, timestamp, events[]}, signed both ways, and delivered by a 2xx."""
    await post.add(range(1, 4))

    await post.dispatcher.tick()
    receiver, fields, body = await post.receive()
    _, raw = parsed(receiver.received)
    receiver.answer(OK)
    await post.settle(1)

    assert {
        "batch_id": f"{1:032x}",
        "timestamp": NOW // SECOND,
        "events": [json.loads(an_event(number).body) for number in (1, 2, 3)],
    } == body
    assert fields["content-type"] == "application/json"
    assert fields["user-agent"].startswith("OpenClick/")
    verify_signature(SECRET, fields["anypost-signature"], raw, NOW // SECOND)
    verify_standard_webhook(SECRET, fields, raw, NOW // SECOND)
    assert [("delivered", 1, 0)] == await post.deliveries()


@pytest_twisted.ensureDeferred
async def test_the_attempt_is_on_disk_before_the_post(post: Post) -> None:
    """A crash now repeats the batch late, and does not hammer its receiver."""
    await post.add()

    await post.dispatcher.tick()
    receiver, _, _ = await post.receive()

    assert [("pending", 1, CLAIM)] == await post.deliveries()
    assert await post.do(_finished_attempts) == 0
    receiver.answer(OK)
    await post.settle(1)


@pytest_twisted.ensureDeferred
async def test_a_failed_attempt_is_repeated_by_the_list(post: Post) -> None:
    """Same batch id and events, a new timestamp and signature; not before its time."""
    await post.add()
    await post.dispatcher.tick()
    receiver, _, first = await post.receive()
    receiver.answer(OOPS)
    receiver.end()
    await post.settle(1)

    post.now += 5 * SECOND - 1
    await post.dispatcher.tick()
    assert post.net.waiting() == 0
    post.now += 1
    await post.dispatcher.tick()
    receiver, fields, second = await post.receive()
    _, raw = parsed(receiver.received)
    receiver.answer(OK)
    await post.settle(2)

    assert (first["batch_id"], first["events"]) == (second["batch_id"], second["events"])
    assert first["timestamp"] + 5 == second["timestamp"]
    verify_signature(SECRET, fields["anypost-signature"], raw, post.now // SECOND)
    assert [("delivered", 2, 5)] == await post.deliveries()


@pytest_twisted.ensureDeferred
async def test_an_attempt_that_was_cut_off_is_repeated(post: Post) -> None:
    """At least once: the sidecar died between writing and answer (DESIGN 1.5)."""
    await post.add()
    await post.do(lambda registry: go_round(registry, NOW, lambda: "b" * 32))

    post.now += CLAIM * SECOND - 1
    await post.dispatcher.tick()
    assert post.net.waiting() == 0
    post.now += 1
    await post.dispatcher.tick()
    receiver, _, body = await post.receive()
    receiver.answer(OK)
    await post.settle(1)

    assert body["batch_id"] == "b" * 32
    assert [("delivered", 2, CLAIM)] == await post.deliveries()


@pytest_twisted.ensureDeferred
async def test_a_slow_webhook_slows_no_other(post: Post) -> None:
    """It has its own slots, however much is due for it; the other's attempts go on."""
    await post.add(range(1, 1001), "wh_slow", "wh_quick")
    await post.do(lambda registry: _point(registry, "wh_slow", "http://slow.kontor.example/in"))

    await post.dispatcher.tick()
    slow, quick = [], []
    for _ in range(8):
        receiver, fields, _ = await post.receive()
        (slow if fields["host"].startswith("slow") else quick).append(receiver)
    for number in range(10):
        await post.take_next(quick[number % 4], is_last=number > 5)

    assert (4, 4) == (len(slow), len(quick))
    await post.settle(10)
    assert 10 == [state for state, *_ in await post.deliveries()].count("delivered")
    for receiver in slow:
        receiver.answer(OK)
    await post.finish()


def _point(registry: Registry, webhook_id: str, url: str) -> None:
    registry.webhooks.describe(replace(registry.webhooks.one_webhook(webhook_id), url=url))


@pytest_twisted.ensureDeferred
async def test_a_store_fault_is_said_once(
    post: Post, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Events wait; the next ticks try anew in silence."""
    (tmp_path / "openclick.db").write_bytes(b"no database" * 100)

    for _ in range(3):
        await post.dispatcher.tick()

    assert 1 == len(caplog.messages)
    assert caplog.messages[0].startswith("dispatcher: events wait to be posted reason=")


@pytest_twisted.ensureDeferred
async def test_a_stop_waits_for_what_is_under_way(post: Post) -> None:
    """Its end is written, and nothing new begins."""
    await post.add(range(1, 901))
    await post.dispatcher.tick()
    receivers = [(await post.receive())[0] for _ in range(4)]

    stopped = Deferred.fromCoroutine(post.dispatcher.stop(Clock(), 2))
    for receiver in receivers:
        receiver.answer(OK)
    await stopped

    assert ["delivered"] * 4 + ["pending"] * 5 == [state for state, *_ in await post.deliveries()]
    assert post.net.waiting() == 0


@pytest_twisted.ensureDeferred
async def test_a_stop_gives_back_what_hangs(post: Post) -> None:
    """After a moment; whoever starts next posts it at once, not when the claim ends."""
    await post.add()
    await post.dispatcher.tick()
    receiver, _, _ = await post.receive()
    clock = Clock()

    stopped = Deferred.fromCoroutine(post.dispatcher.stop(clock, 2))
    clock.advance(2)
    await stopped

    assert [("pending", 1, 0)] == await post.deliveries()
    receiver.answer(OK)
    await turn()


@pytest_twisted.ensureDeferred
async def test_nothing_to_do(post: Post) -> None:
    """A tick without events posts nothing."""
    await post.dispatcher.tick()

    assert post.net.waiting() == 0
    assert [] == await post.deliveries()


def test_batch_body_keeps_the_events_bytes() -> None:
    """Finished events are not read again: the bytes are the log's."""
    events: list[Event] = [an_event(1), an_event(2)]

    body = batch_body("b" * 32, 1_763_937_600, tuple(event.body for event in events))

    assert (
        b'{"batch_id":"'
        + b"b" * 32
        + b'","timestamp":1763937600,"events":['
        + events[0].body
        + b","
        + events[1].body
        + b"]}"
    ) == body
