"""What the dispatcher does to the store, step by step: claims deliveries and writes ends.

Who calls: tests of the store's deliveries and of retention.  Promises: batch ids count from 1 in
each registry's own source; a claim takes whatever is due.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from openclick.instants import SECOND
from openclick.store import Registry, Round
from openclick.webhooks import Attempt, Claim, DeliveryState, Settlement
from unit.samples import NOW

CLAIM_SECONDS = 20
ANSWERED = Attempt(NOW, NOW + 1, True, 204, "", "", "accepted")
REFUSED = Attempt(NOW, NOW + 1, False, 500, "answered 500", "oops", "server_error")


class EverySlot:
    """As many slots as are asked for, `each` a webhook at a time."""

    def __init__(self, each: int = 1000) -> None:
        self.each = each

    def free(self, _webhook_id: str, *, is_failing: bool) -> int:
        """Return the same for everybody."""
        return self.each if is_failing is not None else 0

    def held(self, _webhook_id: str) -> int:
        """Hold nothing."""
        return 0

    def take(self, webhook_id: str, number: int, *, is_failing: bool) -> None:
        """Count nothing."""


def go_round(
    registry: Registry,
    now: int,
    new_batch_id: Callable[[], str],
    settlements: Sequence[Settlement] = (),
    under_way: Collection[int] = (),
    each: int = 1000,
) -> Round:
    """Write ends, form, and claim what is due."""
    until = now + CLAIM_SECONDS * SECOND
    return registry.deliveries.go_round(
        now, settlements, EverySlot(each), until, under_way, new_batch_id
    )


def delivered(claim: Claim, at: int = NOW) -> Settlement:
    """Return the end of an attempt that was accepted."""
    attempt = replace(ANSWERED, finished_at=at)
    delivery = claim.delivery
    return Settlement(
        claim, attempt, DeliveryState.DELIVERED, at, delivery.place, delivery.waited_seconds
    )


def failed(claim: Claim, next_attempt_at: int, at: int = NOW, **fields: object) -> Settlement:
    """Return the end of one that was not."""
    attempt = replace(REFUSED, finished_at=at)
    delivery = claim.delivery
    waited = delivery.waited_seconds + 5
    made = Settlement(
        *(claim, attempt, DeliveryState.PENDING, next_attempt_at, delivery.place + 1, waited)
    )
    return replace(made, **fields)  # type: ignore[arg-type]
