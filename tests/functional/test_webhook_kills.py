"""20,000 events to an endpoint that fails, by a sidecar that is killed 20 times.

Every event arrives; what arrives twice belongs to a batch that was in flight at a kill or failed
after its body, and has the same ids; the books are right at every moment.
"""

import json
import os
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing

import pytest

from openclick.instants import now
from openclick.webhooks import grace_ends_at, new_secret
from support.installation import Installation
from support.processes import wait_until
from support.webhook_books import books, id_of, log_events, unfinished_attempts
from support.webhook_oracles import oracles_accept
from support.webhook_receiver import HANG_UP, Answer, ReceivedPost, Reply, WebhookReceiver

KILLS = 20
EVENTS_A_KILL = 1000
EVENTS = KILLS * EVENTS_A_KILL
SETTINGS = {
    "allow_http": True,
    "timeout_seconds": 3,
    "retry_waits_seconds": [0.1, 0.3, 1, 2],
}
FAILURES: tuple[Answer, ...] = (
    *(500, 503, 429, HANG_UP),
    Reply(302, {"Location": "http://127.0.0.1:1/"}),
    Reply(500, {"Content-Encoding": "gzip"}, b"\x1f\x8b" + bytes(3000)),
)


class Endpoint:
    """Fails 30 % at random, is slow now and then, and can hold a POST in flight."""

    def __init__(self, receiver: WebhookReceiver) -> None:
        self.accepted: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.batches_of: dict[str, set[str]] = defaultdict(set)
        self.refused_by_oracle = 0
        self.secret = ""
        self.holding = threading.Event()
        self.release = threading.Event()
        self._hold_next = False
        self._random = random.Random(20_000)
        self._lock = threading.Lock()
        receiver.answer_with(self._answer)

    def hold_next(self) -> None:
        """Keep the next POST without an answer until `release` is set."""
        self.holding.clear()
        self.release.clear()
        self._hold_next = True

    def _answer(self, post: ReceivedPost) -> Answer:
        batch = json.loads(post.body)
        with self._lock:
            if oracles_accept(self.secret, post.headers, post.body) != (True, True):
                self.refused_by_oracle += 1
            for event in batch["events"]:
                self.batches_of[event["id"]].add(batch["batch_id"])
            hold, self._hold_next = self._hold_next, False
            roll, failure = self._random.random(), self._random.choice(FAILURES)
        if hold:
            self.holding.set()
            self.release.wait(30)
        elif roll > 0.95:
            time.sleep(0.3)
        with self._lock:
            fails = roll < 0.3 and not hold
            (self.failed if fails else self.accepted)[batch["batch_id"]] += 1
        return failure if fails else 204


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """Give a store without domains; the sidecar is the tests' own to start."""
    with Installation() as made:
        made.configure(f"unix:{made.directory}/m.sock", 53, webhooks=SETTINGS)
        made.init()
        yield made


def test_every_event_arrives_whatever_is_killed(
    installation: Installation, receiver: WebhookReceiver
) -> None:
    """None is lost, none is in two batches, and only what was in flight comes twice."""
    endpoint = Endpoint(receiver)
    added = installation.openclick_json("webhook", "add", receiver.url)
    webhook_id, endpoint.secret = added["id"], added["signing_secret"]
    store = installation.store
    daemon = installation.start_sidecar()

    for number in range(KILLS):
        endpoint.hold_next()
        first = number * EVENTS_A_KILL
        log_events(store, range(first, first + EVENTS_A_KILL))
        assert endpoint.holding.wait(60), "no POST is in flight"
        daemon.kill9()
        endpoint.release.set()
        counts = books(store)
        assert counts.pop("twice") == 0
        assert first + EVENTS_A_KILL == sum(counts.values())
        if number in (6, 13):
            endpoint.secret = rotate(installation, webhook_id, first_time=number == 6)
        daemon = installation.start_sidecar()
    wait_until(lambda: books(store)["delivered"] == EVENTS, 120, "every event delivered", 0.2)
    daemon.terminate(20)

    arrived = set(endpoint.batches_of)
    assert {id_of(number) for number in range(EVENTS)} == arrived
    assert {1} == {len(batches) for batches in endpoint.batches_of.values()}
    in_flight = unfinished_attempts(store)
    twice = {batch: count - 1 for batch, count in endpoint.accepted.items() if count > 1}
    assert all(in_flight.get(batch, 0) >= more for batch, more in twice.items())
    assert sum(in_flight.values()) >= KILLS
    assert endpoint.failed.total() > 30
    assert endpoint.refused_by_oracle == 0


def rotate(installation: Installation, webhook_id: str, *, first_time: bool) -> str:
    """Rotate the secret, and return the one that the endpoint goes on to hold.

    The first time by the command, and the endpoint keeps the old secret; the second time as a day
    later, when the endpoint has long had the new one.
    """
    with closing(installation.store.registry()) as registry:
        held = registry.webhooks.one_webhook(webhook_id).secret
        if first_time:
            installation.openclick("webhook", "rotate-secret", webhook_id)
            again = installation.openclick("webhook", "rotate-secret", webhook_id, check=False)
            assert again.returncode == 1
            assert "can be rotated again then" in again.stderr
            return held
        registry.webhooks.rotate_secret(webhook_id, new_secret(os.urandom), grace_ends_at(now()))
        return registry.webhooks.one_webhook(webhook_id).secret
