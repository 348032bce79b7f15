"""Brings events to webhooks: forms deliveries, makes attempts, writes down how each one ended.

A service of the sidecar, which works in rounds: a round writes the ends of attempts that were made
meanwhile, forms deliveries of new events, and claims what is due, in one transaction; then the
claimed attempts are made, all at once.

Promises: an attempt is on disk before its POST is made; where the sidecar dies in between, the same
batch is posted again when the claim has ended, so that an event may come twice and is never lost;
`batch_id` and events stay the same over all attempts of a delivery; an end that could not be
written is kept and written later, and one that cannot be is written in a plain form, so that no
answer of a receiver stops the others; no endpoint waits for another one while there are slots (see
`slots`), and where there are too few they take turns.
"""

from __future__ import annotations

import json
import logging
import random
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.python.failure import Failure

from openclick import __version__
from openclick.circuit import Health
from openclick.instants import SECOND, Instant
from openclick.logs import line
from openclick.store import Registry, Round, StoreFault
from openclick.webhook_settings import WebhookSettings
from openclick.webhooks import (
    AttemptKind,
    Claim,
    DeliveryState,
    Settlement,
    Webhook,
    WebhookStatus,
)
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.ends import UNWRITABLE, end_of, plain_end
from openclick_sidecar.judging import detach
from openclick_sidecar.post import Poster, Reply
from openclick_sidecar.signing import signature_headers
from openclick_sidecar.slots import AttemptSlots

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
_CLAIM_MARGIN_SECONDS = 5.0
"""How much longer than a POST may take its claim holds: for the disk, before and after."""


@dataclass
class Dispatcher:
    """The service: `tick` is called every second, and whenever events were made."""

    bookkeeper: Bookkeeper
    poster: Poster
    settings: WebhookSettings
    now: Callable[[], Instant]
    random: Callable[[], float] = random.random
    new_batch_id: Callable[[], str] = lambda: secrets.token_hex(16)
    attempts: Counter[str] = field(default_factory=Counter)
    _under_way: dict[int, Claim] = field(default_factory=dict)
    _settlements: list[Settlement] = field(default_factory=list)
    _asked: bool = False
    _going_round: bool = False
    _stopping: bool = False
    _when_idle: Deferred[None] | None = None
    _fault: str = ""

    async def tick(self) -> None:
        """Go round until there is nothing more to write, to form or to claim."""
        self._asked = True
        if self._going_round:
            return
        self._going_round = True
        try:
            while self._asked:
                self._asked = False
                await self._go_round()
            self._fault = ""
        except StoreFault as fault:
            if str(fault) != self._fault:
                log.error(line("dispatcher", "events wait to be posted", reason=fault))
            self._fault = str(fault)
        finally:
            self._going_round = False

    async def stop(self, reactor: Any, seconds: float) -> None:
        """Begin no more attempts, wait a moment for those under way, give the others back."""
        self._stopping = True
        if self._under_way:
            self._when_idle = Deferred()
            self._when_idle.addTimeout(seconds, reactor)
            try:
                await self._when_idle
            except DeferredTimeout:
                cut_off, now = list(self._under_way.values()), self.now()
                self.bookkeeper.run(
                    lambda registry: registry.deliveries.release(cut_off, now)
                ).addErrback(_leave_to_the_claims_end)

    async def _go_round(self) -> None:
        settlements = list(self._settlements)
        settled = {each.claim.delivery.delivery_id for each in settlements}
        under_way = {key: value for key, value in self._under_way.items() if key not in settled}
        slots = self._slots(under_way.values())
        try:
            done = await self.bookkeeper.run(
                lambda registry: self._round(registry, settlements, slots, frozenset(under_way))
            )
        except StoreFault:
            raise
        except Exception:
            # One of the ends, as of an answer that no database can hold, must not stop the others.
            if not settlements:
                raise
            await self._settle_singly(settlements)
            self._asked = True
            return
        del self._settlements[: len(settlements)]
        for delivery_id in settled:
            self._under_way.pop(delivery_id, None)
        for claim in done.claims:
            self._under_way[claim.delivery.delivery_id] = claim
            detach("dispatcher", Deferred.fromCoroutine(self._attempt(claim)))
        for webhook, health in done.changes:
            _log_change(webhook, health)
        # A probe that has succeeded makes all due, and what it does is to be seen at once.
        self._asked = self._asked or done.more or bool(done.changes)
        if self._when_idle is not None and not self._under_way and not self._when_idle.called:
            self._when_idle.callback(None)

    async def _settle_singly(self, settlements: list[Settlement]) -> None:
        """Write ends one by one; a StoreFault leaves the rest of them for later."""
        for settlement in settlements:
            change = await self._settle(settlement)
            del self._settlements[0]
            self._under_way.pop(settlement.claim.delivery.delivery_id, None)
            if change is not None:
                _log_change(*change)

    async def _settle(self, settlement: Settlement) -> tuple[Webhook, Health] | None:
        """Write one end, or else its plain form, or else leave it to the end of its claim."""
        try:
            return await self._write(settlement)
        except Exception as error:
            if isinstance(error, StoreFault):
                raise
            _log_unwritable(settlement, "a plain one is written", error)
            plain = plain_end(settlement, error)
        try:
            return await self._write(plain)
        except Exception as error:
            if isinstance(error, StoreFault):
                raise
            _log_unwritable(settlement, "its batch is posted again", error)
            return None

    async def _write(self, settlement: Settlement) -> tuple[Webhook, Health] | None:
        return await self.bookkeeper.run(lambda registry: registry.deliveries.settle(settlement))

    def _slots(self, under_way: Any) -> AttemptSlots:
        if self._stopping:
            return AttemptSlots(0, 0, ())
        return AttemptSlots(
            self.settings.concurrency,
            self.settings.concurrency_per_webhook,
            [(claim.webhook.webhook_id, claim.webhook.failures > 0) for claim in under_way],
        )

    def _round(
        self,
        registry: Registry,
        settlements: list[Settlement],
        slots: AttemptSlots,
        under_way: frozenset[int],
    ) -> Round:
        now = self.now()
        claim_seconds = self.settings.timeout_seconds + _CLAIM_MARGIN_SECONDS
        claim_until = now + int(claim_seconds * SECOND)
        return registry.deliveries.go_round(
            now, settlements, slots, claim_until, under_way, self.new_batch_id
        )

    async def _attempt(self, claim: Claim) -> None:
        """Make one attempt, and have its end written by the next round."""
        started_at = self.now()
        reply = await self._post(claim, started_at)
        settlement = end_of(claim, reply, started_at, self.now(), self.settings, self.random)
        self.attempts[reply.outcome.value] += 1
        _log_attempt(settlement)
        self._settlements.append(settlement)
        await self.tick()

    async def _post(self, claim: Claim, at: Instant) -> Reply:
        timestamp = at // SECOND
        body = batch_body(claim.delivery.batch_id, timestamp, claim.bodies)
        secrets_now = claim.webhook.live_secrets(at)
        fields = request_fields(secrets_now, claim.delivery.batch_id, timestamp, body)
        return await self.poster.post(claim.webhook.url, body, fields)


def _leave_to_the_claims_end(failure: Failure) -> None:
    if not isinstance(failure.value, StoreFault):
        failure.raiseException()


def batch_body(batch_id: str, timestamp: int, bodies: tuple[bytes, ...]) -> bytes:
    """Return the body of an attempt: {batch_id, timestamp, events[]}, from finished events."""
    head = json.dumps({"batch_id": batch_id, "timestamp": timestamp}, separators=(",", ":"))
    return b'%s,"events":[%s]}' % (head[:-1].encode("ascii"), b",".join(bodies))


def request_fields(
    live_secrets: tuple[str, ...], batch_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the header fields of an attempt."""
    return {
        "Content-Type": "application/json",
        "User-Agent": f"OpenClick/{__version__}",
        **signature_headers(live_secrets, batch_id, timestamp, body),
    }


def _log_attempt(settlement: Settlement) -> None:
    claim, attempt, state = settlement.claim, settlement.attempt, settlement.state
    words = {
        DeliveryState.DELIVERED: "delivered",
        DeliveryState.ABANDONED: "abandoned",
        DeliveryState.PENDING: "attempt failed",
    }
    log.log(
        logging.INFO if attempt.delivered else logging.WARNING,
        line(
            claim.delivery.batch_id,
            words[state],
            webhook=claim.webhook.webhook_id,
            events=len(claim.bodies),
            attempt=claim.number,
            kind=claim.kind.value if claim.kind is AttemptKind.PROBE else None,
            status=attempt.status_code,
            error=attempt.error or None,
            seconds=f"{(attempt.finished_at - attempt.started_at) / SECOND:.3f}",
        ),
    )


def _log_unwritable(settlement: Settlement, what: str, error: Exception) -> None:
    reason = f"{type(error).__name__}: {error}"
    log.error(line(settlement.claim.delivery.batch_id, f"{UNWRITABLE}, {what}", reason=reason))


def _log_change(webhook: Webhook, health: Health) -> None:
    if health.status is WebhookStatus.ACTIVE:
        log.info(line(webhook.webhook_id, "circuit closed, deliveries go on", url=webhook.origin))
        return
    what = (
        "disabled, its events are skipped"
        if health.status is WebhookStatus.DISABLED
        else "circuit opened, its events wait"
    )
    log.error(line(webhook.webhook_id, what, url=webhook.origin, reason=health.reason))
