"""Webhooks, deliveries and attempts: who receives events, and how far each batch has come.

Pure data; kept in openclick.db, moved along by the sidecar's dispatcher.  The words are the
glossary's: an *attempt* is one POST, a *delivery* is one batch to one webhook and is pending,
delivered or abandoned.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from openclick.instants import Instant

SECRET_PREFIX = "whsec_"  # noqa: S105 - the public beginning of every secret
MAX_BATCH_EVENTS = 100

ACCEPTED_EVENT_NAMES = (
    "email.sent",
    "email.delivered",
    "email.delayed",
    "email.bounced",
    "email.complained",
    "email.suppressed",
    "email.unsubscribed",
    "email.opened",
    "email.clicked",
)
"""What a webhook may ask for: Anypost's nine, though OpenClick makes only the last two."""


class WebhookStatus(StrEnum):
    """Whether a webhook receives events."""

    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True)
class Webhook:
    """One receiver.

    `domains` limits it to these sending domains; empty means all.  `secret` signs every attempt;
    it is shown once, when the webhook is added.
    """

    webhook_id: str
    name: str
    url: str
    events: tuple[str, ...]
    domains: tuple[str, ...]
    secret: str
    status: WebhookStatus
    created_at: Instant
    previous_secret: str | None = None
    previous_secret_expires_at: Instant | None = None
    last_delivery_at: Instant | None = None

    def is_rotating(self, now: Instant) -> bool:
        """Tell whether the last rotation is not a day old."""
        expires_at = self.previous_secret_expires_at
        return expires_at is not None and now < expires_at


class DeliveryState(StrEnum):
    """How far a delivery has come."""

    PENDING = "pending"
    DELIVERED = "delivered"
    ABANDONED = "abandoned"


@dataclass(frozen=True)
class Delivery:
    """One batch of events to one webhook.

    `batch_id` (32 hex digits) and the events in it stay the same over all attempts.
    """

    delivery_id: int
    webhook_id: str
    batch_id: str
    state: DeliveryState
    attempts: int
    next_attempt_at: Instant
    created_at: Instant


@dataclass(frozen=True)
class Attempt:
    """How one POST ended.

    `status_code` is None where no answer came; `error` is empty on success; `excerpt` is the
    beginning of the answer's body.
    """

    started_at: Instant
    finished_at: Instant
    delivered: bool
    status_code: int | None
    error: str
    excerpt: str
