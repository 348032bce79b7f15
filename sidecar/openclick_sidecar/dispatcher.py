"""Brings events to webhooks: forms deliveries, makes attempts, writes down how each one ended.

A service of the sidecar.  Promises: an attempt and the time of the next one are on disk before the
POST is made, so that a crash repeats a batch late rather than losing it or hammering its receiver;
`batch_id` and events stay the same over all attempts of a delivery; one POST a webhook at a time.
"""

from __future__ import annotations

import json
import logging
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred

from openclick import __version__
from openclick.instants import SECOND, Instant
from openclick.logs import line
from openclick.store import Registry, StoreFault
from openclick.webhooks import Attempt, Delivery, DeliveryState, Webhook
from openclick_sidecar.backoff import gives_up, wait_seconds
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.judging import detach
from openclick_sidecar.post import Poster, Reply
from openclick_sidecar.signing import signature_headers

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0


@dataclass(frozen=True)
class _Job:
    """All that an attempt needs, read in one go."""

    delivery: Delivery
    webhook: Webhook
    number: int
    next_attempt_at: Instant
    bodies: list[bytes]


@dataclass
class Dispatcher:
    """The service: `tick` is called every second, and whenever events were made."""

    bookkeeper: Bookkeeper
    poster: Poster
    now: Callable[[], Instant]
    random: Callable[[], float] = random.random
    new_batch_id: Callable[[], str] = lambda: secrets.token_hex(16)
    _busy: set[str] = field(default_factory=set)
    _fault: str = ""

    async def tick(self) -> None:
        """Form deliveries of new events, and begin every attempt that is due."""
        try:
            for delivery in await self.bookkeeper.run(self._form_and_list):
                if delivery.webhook_id not in self._busy:
                    self._busy.add(delivery.webhook_id)
                    detach("dispatcher", Deferred.fromCoroutine(self._attempt(delivery)))
            self._fault = ""
        except StoreFault as fault:
            if str(fault) != self._fault:
                log.error(line("dispatcher", "events wait to be posted", reason=fault))
            self._fault = str(fault)

    def _form_and_list(self, registry: Registry) -> list[Delivery]:
        now = self.now()
        registry.deliveries.form(now, self.new_batch_id)
        return registry.deliveries.many_due(now)

    async def _attempt(self, delivery: Delivery) -> None:
        """Make one attempt; the webhook is busy until its end is written down."""
        try:
            job = await self.bookkeeper.run(lambda registry: self._begin(registry, delivery))
            if job is not None:
                await self._carry_out(job)
        except StoreFault as fault:
            log.error(line(delivery.batch_id, "attempt not written down", reason=fault))
        finally:
            self._busy.discard(delivery.webhook_id)

    def _begin(self, registry: Registry, delivery: Delivery) -> _Job | None:
        """Write the attempt down; None where the list that named the delivery is out of date."""
        number, now = delivery.attempts + 1, self.now()
        next_attempt_at = now + int(wait_seconds(number, self.random) * SECOND)
        if not registry.deliveries.begin_attempt(
            delivery.delivery_id, number, now, next_attempt_at
        ):
            return None
        return _Job(
            delivery=delivery,
            webhook=registry.webhooks.one_webhook(delivery.webhook_id),
            number=number,
            next_attempt_at=next_attempt_at,
            bodies=registry.deliveries.event_bodies(delivery.delivery_id),
        )

    async def _carry_out(self, job: _Job) -> None:
        started_at = self.now()
        reply = await self._post(job, started_at)
        attempt = Attempt(
            started_at, self.now(), reply.accepted, reply.status_code, reply.error, reply.excerpt
        )
        state = _state_after(job, reply)
        await self.bookkeeper.run(
            lambda registry: registry.deliveries.finish_attempt(
                job.delivery.delivery_id, job.number, attempt, state
            )
        )
        _log_attempt(job, reply, state, attempt)

    async def _post(self, job: _Job, at: Instant) -> Reply:
        timestamp = at // SECOND
        body = batch_body(job.delivery.batch_id, timestamp, job.bodies)
        fields = {
            "Content-Type": "application/json",
            "User-Agent": f"OpenClick/{__version__}",
            **signature_headers(job.webhook.secret, job.delivery.batch_id, timestamp, body),
        }
        return await self.poster.post(job.webhook.url, body, fields)


def batch_body(batch_id: str, timestamp: int, bodies: list[bytes]) -> bytes:
    """Return the body of an attempt: {batch_id, timestamp, events[]}, from finished events."""
    head = json.dumps({"batch_id": batch_id, "timestamp": timestamp}, separators=(",", ":"))
    return b'%s,"events":[%s]}' % (head[:-1].encode("ascii"), b",".join(bodies))


def _state_after(job: _Job, reply: Reply) -> DeliveryState:
    if reply.accepted:
        return DeliveryState.DELIVERED
    if gives_up(job.delivery.created_at, job.next_attempt_at):
        return DeliveryState.ABANDONED
    return DeliveryState.PENDING


def _log_attempt(job: _Job, reply: Reply, state: DeliveryState, attempt: Attempt) -> None:
    level = logging.INFO if reply.accepted else logging.WARNING
    log.log(
        level,
        line(
            job.delivery.batch_id,
            state.value if state is not DeliveryState.PENDING else "attempt failed",
            webhook=job.webhook.webhook_id,
            events=len(job.bodies),
            attempt=job.number,
            status=reply.status_code,
            error=reply.error or None,
            seconds=f"{(attempt.finished_at - attempt.started_at) / SECOND:.3f}",
        ),
    )
