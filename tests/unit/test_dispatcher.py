"""Deliveries: written down before they are posted, posted until they are taken."""

import itertools
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from openclick.events import Event
from openclick.instants import SECOND
from openclick.store import Registry, Store, open_store
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.dispatcher import Dispatcher, batch_body
from openclick_sidecar.post import Poster
from support.signatures import verify_signature, verify_standard_webhook
from unit.memory_net import Dialled, MemoryNet, turn, until
from unit.samples import NOW, SECRET, a_webhook, an_event, log_events

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
OOPS = b"HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\noops"
URL = "http://hooks.kontor.example/in"
DAY = 86_400 * SECOND


def parsed(request: bytes) -> tuple[dict[str, str], bytes]:
    """Return a request's fields by lower-case name, and its body."""
    head, _, body = request.partition(b"\r\n\r\n")
    pairs = [text.split(": ", 1) for text in head.decode().split("\r\n")[1:]]
    return {name.lower(): value for name, value in pairs}, body


class Post:
    """The dispatcher with a real store, a real poster, and receivers in memory."""

    def __init__(self, store: Store) -> None:
        self.net = MemoryNet()
        self.now = NOW
        self.bookkeeper = Bookkeeper(store, reactor)
        self.poster = Poster(self.net, 15.0)
        numbers = itertools.count(1)
        self.dispatcher = Dispatcher(
            self.bookkeeper,
            self.poster,
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
    made = Post(open_store(f"sqlite:{tmp_path}"))
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
    assert [("delivered", 1, 5)] == await post.deliveries()


@pytest_twisted.ensureDeferred
async def test_the_attempt_is_on_disk_before_the_post(post: Post) -> None:
    """A crash now repeats the batch late, and does not hammer its receiver."""
    await post.add()

    await post.dispatcher.tick()
    receiver, _, _ = await post.receive()

    assert [("pending", 1, 5)] == await post.deliveries()
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
    assert [("delivered", 2, 65)] == await post.deliveries()


@pytest_twisted.ensureDeferred
async def test_an_attempt_that_was_cut_off_is_repeated(post: Post, tmp_path: Path) -> None:
    """At least once: the sidecar died between writing and answer (DESIGN 1.5)."""
    await post.add()
    await post.do(lambda registry: registry.deliveries.form(NOW, lambda: "b" * 32))
    await post.do(lambda registry: registry.deliveries.begin_attempt(1, 1, NOW, NOW + 5 * SECOND))

    post.now += 5 * SECOND
    await post.dispatcher.tick()
    receiver, _, body = await post.receive()
    receiver.answer(OK)
    await post.settle(1)

    assert body["batch_id"] == "b" * 32
    assert [("delivered", 2, 65)] == await post.deliveries()


@pytest_twisted.ensureDeferred
async def test_abandoned_after_three_days(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    """The last attempt says so; the delivery stays in the list for the admin."""
    await post.add()
    await post.do(lambda registry: registry.deliveries.form(NOW, lambda: "b" * 32))
    await post.do(_eleven_attempts)

    post.now += 3 * DAY - SECOND
    with caplog.at_level(logging.WARNING):
        await post.dispatcher.tick()
        receiver, _, _ = await post.receive()
        receiver.answer(OOPS)
        await post.settle(1)

    assert ["abandoned"] == [state for state, *_ in await post.deliveries()]
    assert caplog.messages == [
        (
            f"{'b' * 32}: abandoned webhook=wh_1 events=1 attempt=12 status=500 "
            'error="answered 500" seconds=0.000'
        )
    ]
    post.now += DAY
    await post.dispatcher.tick()
    assert post.net.waiting() == 0


def _eleven_attempts(registry: Registry) -> None:
    for number in range(1, 12):
        registry.deliveries.begin_attempt(1, number, NOW, NOW)


@pytest_twisted.ensureDeferred
async def test_one_post_a_webhook_at_a_time(post: Post) -> None:
    """The next delivery of a webhook waits for the answer to the last one."""
    await post.add(range(1, 151))

    await post.dispatcher.tick()
    receiver, _, _ = await post.receive()
    await post.dispatcher.tick()
    await turn()
    assert post.net.waiting() == 0
    receiver.answer(OK)
    await post.settle(1)
    receiver.forget()
    await post.dispatcher.tick()
    await until(lambda: receiver.received.endswith(b"]}"))
    receiver.answer(OK)
    await post.settle(2)

    assert ["delivered"] * 2 == [state for state, *_ in await post.deliveries()]


@pytest_twisted.ensureDeferred
async def test_a_slow_webhook_slows_no_other(post: Post) -> None:
    """Each has its own turn, however long the queue of one is."""
    await post.add(range(1, 1001), "wh_slow", "wh_quick")

    await post.dispatcher.tick()
    first, _, _ = await post.receive()
    second, _, _ = await post.receive()
    second.answer(OK)
    await post.settle(1)
    second.forget()
    await post.dispatcher.tick()
    await until(lambda: second.received.endswith(b"]}"))

    states = [state for state, *_ in await post.deliveries()]
    assert 1 == states.count("delivered")
    second.answer(OK)
    first.answer(OK)
    await post.settle(3)


@pytest_twisted.ensureDeferred
async def test_a_stale_list_makes_no_second_attempt(post: Post) -> None:
    """Two rounds that read the same list post once."""
    await post.add()
    await post.do(lambda registry: registry.deliveries.form(NOW, lambda: "b" * 32))
    (delivery,) = await post.do(lambda registry: registry.deliveries.many_due(NOW))
    await post.dispatcher.tick()
    receiver, _, _ = await post.receive()
    receiver.answer(OK)
    await post.settle(1)

    await post.dispatcher._attempt(delivery)

    assert post.net.waiting() == 0
    assert [("delivered", 1, 5)] == await post.deliveries()


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
async def test_nothing_to_do(post: Post) -> None:
    """A tick without events posts nothing."""
    await post.dispatcher.tick()

    assert post.net.waiting() == 0
    assert [] == await post.deliveries()


def test_batch_body_keeps_the_events_bytes() -> None:
    """Finished events are not read again: the bytes are the log's."""
    events: list[Event] = [an_event(1), an_event(2)]

    body = batch_body("b" * 32, 1_763_937_600, [event.body for event in events])

    assert (
        b'{"batch_id":"'
        + b"b" * 32
        + b'","timestamp":1763937600,"events":['
        + events[0].body
        + b","
        + events[1].body
        + b"]}"
    ) == body
