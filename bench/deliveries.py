"""Events a second to one local endpoint, against durable hits; and beside an endpoint that hangs.

The events stand in the log when the sidecar is started; a point is from the first POST that comes
to the last.  The sidecar is pinned to one processor, the endpoint (this process) is not.  It
answers at once and keeps nothing but the number of events.  The hanging one takes each POST and
says nothing; an attempt of the healthy one that begins after the first of these has timed out may
have waited for it, and is counted.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable

from bench import http_load
from bench.experiment import BenchFault, Experiment, Values, in_turn
from bench.http_load import KEEP_ALIVE
from support.processes import LOOPBACK, wait_until
from support.webhook_books import accepted_after_a_timeout, log_events
from support.webhook_receiver import ReceivedPost, WebhookReceiver

_PIECE = 2000
_WARMING_SECONDS = 1
_LONGEST_SECONDS = 120


class DeliveryRate(Experiment):
    """Values: a second, events "alone" and "beside" a hanging endpoint, and "hits"."""

    name = "deliveries"

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._waited = 0

    @property
    def note(self) -> str:
        """How much is sent, and what waited."""
        waited = f"{self._waited} attempts waited behind the hanging endpoint"
        return f"{self._events:,} events of 870 bytes in batches of 100; {waited}"

    @property
    def _events(self) -> int:
        return self.scale.of(usual=40_000, quick=4_000)

    def prepare(self) -> None:
        """See that hits can be made, and make the links."""
        http_load.check_program()
        assert self.world.tracker.links

    def round(self, backwards: bool) -> Values:
        """Take hits in, and send events alone and beside."""
        measure: dict[str, Callable[[], float]] = {
            "hits": self._hits,
            "alone": self._deliver,
            "beside": self._beside,
        }
        values = {}
        for variant in in_turn(tuple(measure), backwards):
            self.say(f"deliveries: {variant}")
            values[variant] = measure[variant]()
        return values

    def _hits(self) -> float:
        tracker = self.world.tracker
        with tracker.serving_afresh() as server:
            http_load.ask(server.port, tracker.links, KEEP_ALIVE, _WARMING_SECONDS)
            seconds = self.scale.of(usual=2, quick=1)
            return http_load.ask(server.port, tracker.links, KEEP_ALIVE, seconds).a_second

    def _deliver(self) -> float:
        self.world.tracker.forget_hits()
        return self._events_a_second()

    def _beside(self) -> float:
        tracker = self.world.tracker
        tracker.forget_hits()
        with socket.create_server((LOOPBACK, 0)) as hanging:  # the kernel takes connections
            tracker.add_webhook(f"http://{LOOPBACK}:{hanging.getsockname()[1]}/")
            rate = self._events_a_second()
        self._waited += accepted_after_a_timeout(tracker.store)
        return rate

    def _events_a_second(self) -> float:
        tracker, endpoint = self.world.tracker, _Endpoint()
        with WebhookReceiver() as receiver:
            receiver.answer_with(endpoint.take)
            tracker.add_webhook(f"http://{LOOPBACK}:{receiver.port}/")
            for first in range(0, self._events, _PIECE):
                log_events(tracker.store, range(first, min(first + _PIECE, self._events)))
            with tracker.serving():
                wait_until(
                    lambda: endpoint.events >= self._events, _LONGEST_SECONDS, "events", 0.02
                )
        if endpoint.events != self._events:
            raise BenchFault(f"{endpoint.events} events came, of {self._events}")
        return endpoint.a_second


class _Endpoint:
    """Counts events, and the seconds that they took."""

    def __init__(self) -> None:
        self.events = 0
        self._first_batch = 0
        self._first_at = self._last_at = 0.0

    def take(self, post: ReceivedPost) -> int:
        """Take one batch; the first one begins the point."""
        count = post.body.count(b'{"id":"evt_')
        if not self.events:
            if count != len(json.loads(post.body)["events"]):
                return 500
            self._first_at, self._first_batch = time.monotonic(), count
        self.events += count
        self._last_at = time.monotonic()
        return 204

    @property
    def a_second(self) -> float:
        """Events a second, after the first batch."""
        return (self.events - self._first_batch) / (self._last_at - self._first_at)
