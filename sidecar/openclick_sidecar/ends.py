"""How an attempt ended, and what that does to its delivery.

Called by `dispatcher`.  Pure: claim and reply in, settlement out; clock and randomness are handed
in.  Promises: an end that the store refuses has a plain form, which holds nothing that a receiver
or a network has said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from openclick.instants import SECOND, Instant
from openclick.webhook_settings import WebhookSettings
from openclick.webhooks import Attempt, AttemptKind, Claim, DeliveryState, Settlement
from openclick_sidecar.backoff import RetryList, retry_after_seconds
from openclick_sidecar.post import PostOutcome, Reply

UNWRITABLE = "the end of the attempt could not be written"
_GONE = 410
_NOT_OF_THE_BATCH = frozenset({429, 502, 503, 504})
"""Not now, or a gateway that speaks for a receiver that is down: no word on what was posted."""


def end_of(
    claim: Claim,
    reply: Reply,
    started_at: Instant,
    now: Instant,
    settings: WebhookSettings,
    random: Callable[[], float],
) -> Settlement:
    """Return what an attempt that has ended `now` does; `random` returns a number from 0 to 1."""
    delivery = claim.delivery
    attempt = Attempt(
        *(started_at, now, reply.accepted, reply.status_code, reply.error, reply.excerpt),
        outcome=reply.outcome.value,
    )
    state, place, waited = DeliveryState.DELIVERED, delivery.place, delivery.waited_seconds
    next_at, asked = now, None
    if not reply.accepted:
        asked = retry_after_seconds(reply.retry_after, now)
        state, next_at = DeliveryState.PENDING, delivery.next_attempt_at
    if reply.status_code == _GONE:
        state = DeliveryState.ABANDONED
    elif not reply.accepted and _counts(claim, reply, started_at):
        place += 1
        retries = RetryList(settings.retry_waits_seconds, settings.give_up_seconds)
        following = retries.after(place, waited, asked, random)
        if following is None:
            state = DeliveryState.ABANDONED
        else:
            waited = following.waited_seconds
            next_at = now + int(following.wait_seconds * SECOND)
    return Settlement(
        *(claim, attempt, state, next_at, place, waited),
        pause_until=None if asked is None else now + int(asked * SECOND),
        gone=reply.status_code == _GONE,
    )


def _counts(claim: Claim, reply: Reply, started_at: Instant) -> bool:
    """Tell whether a failed attempt is one of the delivery's list.

    A probe is where the list would have made an attempt by then too, and the receiver has said no
    to this batch: what nobody can take must not wait for ever behind an open circuit (ADR 0020).
    """
    if claim.kind is AttemptKind.LIST:
        return True
    is_no_answer = reply.status_code is None or reply.status_code in _NOT_OF_THE_BATCH
    return not is_no_answer and started_at >= claim.delivery.next_attempt_at


def plain_end(settlement: Settlement, error: Exception) -> Settlement:
    """Return the same end without what came from outside; `error` is why it was refused.

    What was delivered stays so: the receiver has the batch.
    """
    attempt = replace(
        settlement.attempt,
        status_code=None,
        error=f"{UNWRITABLE}: {type(error).__name__}",
        excerpt="",
        outcome=settlement.attempt.outcome
        if settlement.attempt.delivered
        else PostOutcome.BROKEN.value,
    )
    return replace(settlement, attempt=attempt)
