"""Webhooks, deliveries and attempts: who receives events, and how far each batch has come.

Pure data; kept in openclick.db, moved along by the sidecar's dispatcher.  The words are the
glossary's: an *attempt* is one POST, a *delivery* is one batch to one webhook and is pending,
delivered or abandoned.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from openclick.instants import SECOND, Instant

SECRET_BYTES = 24
GRACE_SECONDS = 24 * 3600
"""How long the secret before a rotation goes on signing, beside the new one."""
SECRET_PREFIX = "whsec_"  # noqa: S105 - the public beginning of every secret
SHOWN_SECRET_CHARS = 12
"""How much of a secret tells it from others and is shown again."""

MAX_BATCH_EVENTS = 100
MAX_BATCH_BODIES_BYTES = 512 * 1024
"""So large may the events of a batch be together: many servers take a body of 1 MB at most.  A
single event may be larger, and is a batch of its own."""

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


TEST_EVENT_NAME = "webhook.test"


def new_secret(randomness: Callable[[int], bytes]) -> str:
    """Return a new secret: whsec_ and 24 random bytes in standard base64."""
    return SECRET_PREFIX + base64.b64encode(randomness(SECRET_BYTES)).decode("ascii")


class WebhookStatus(StrEnum):
    """Whether a webhook receives events.

    `disabled` skips them; under `circuit_disabled` they wait, and a probe is sent once a minute.
    """

    ACTIVE = "active"
    DISABLED = "disabled"
    CIRCUIT_DISABLED = "circuit_disabled"


def origin_of(url: str) -> str:
    """Return scheme and host of a webhook's URL: what follows the host may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@dataclass(frozen=True)
class Webhook:
    """One receiver.

    `domains` limits it to these sending domains; empty means all.  `secret` signs every attempt;
    it is shown once, when the webhook is added; `previous_secret` signs beside it until
    `previous_secret_expires_at`.  `status_reason` tells why it is not active, `failures` how many
    attempts in a row have failed, `probe_at` when the next probe is due, `paused_until` what
    Retry-After asked for.
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
    status_reason: str = ""
    failures: int = 0
    probe_at: Instant | None = None
    paused_until: Instant | None = None
    last_delivery_at: Instant | None = None

    @property
    def origin(self) -> str:
        """Where it is, for the log."""
        return origin_of(self.url)

    def is_rotating(self, now: Instant) -> bool:
        """Tell whether the secret before the last rotation still signs."""
        expires_at = self.previous_secret_expires_at
        return self.previous_secret is not None and expires_at is not None and now < expires_at

    def live_secrets(self, now: Instant) -> tuple[str, ...]:
        """Return the secrets that sign an attempt made now, the newest first."""
        if self.is_rotating(now) and self.previous_secret is not None:
            return self.secret, self.previous_secret
        return (self.secret,)


def grace_ends_at(now: Instant) -> Instant:
    """Return until when a secret that is rotated out now goes on signing."""
    return now + GRACE_SECONDS * SECOND


class DeliveryState(StrEnum):
    """How far a delivery has come.

    Abandoned: its list came to an end, or its webhook was disabled; an admin may have it retried.
    """

    PENDING = "pending"
    DELIVERED = "delivered"
    ABANDONED = "abandoned"


class AttemptKind(StrEnum):
    """Why an attempt is made: its delivery's list says so, or an open circuit is probed."""

    LIST = "list"
    PROBE = "probe"


@dataclass(frozen=True)
class Delivery:
    """One batch of events to one webhook.

    `batch_id` (32 hex digits) and the events in it stay the same over all attempts.  `attempts`
    counts all of them, `place` those of the list that have failed (a probe may be one), and
    `waited_seconds` is how long the list has had it wait so far.  While an attempt is under way
    `claimed_until` says how long nobody else makes one.
    """

    delivery_id: int
    webhook_id: str
    batch_id: str
    state: DeliveryState
    attempts: int
    next_attempt_at: Instant
    created_at: Instant
    place: int = 0
    waited_seconds: float = 0.0
    claimed_until: Instant | None = None


@dataclass(frozen=True)
class Attempt:
    """How one POST ended.

    `outcome` is a word of `PostOutcome`; `status_code` is None where no answer came; `error` is
    empty on success; `excerpt` is the beginning of the answer's body.
    """

    started_at: Instant
    finished_at: Instant
    delivered: bool
    status_code: int | None
    error: str
    excerpt: str
    outcome: str = ""


@dataclass(frozen=True)
class Claim:
    """An attempt that is written down and not made yet: all that it needs.

    `delivery` is as it was before the claim, `number` the attempt's, `bodies` the finished events.
    """

    delivery: Delivery
    webhook: Webhook
    kind: AttemptKind
    number: int
    bodies: tuple[bytes, ...]


@dataclass(frozen=True)
class Settlement:
    """What an attempt that was made does to its delivery.

    `pause_until` is set where the receiver asked for a pause; `gone` where it wants no more events.
    """

    claim: Claim
    attempt: Attempt
    state: DeliveryState
    next_attempt_at: Instant
    place: int
    waited_seconds: float
    pause_until: Instant | None = None
    gone: bool = False


@dataclass(frozen=True)
class DeliveryReport:
    """A delivery as an admin sees it: what it holds, and its last attempt.

    `finished_at` is None while it is pending; `last_started_at` and `last_kind` where no attempt
    was made; `last_attempt` also where its end was never written, or is still to come.
    """

    delivery: Delivery
    event_count: int
    finished_at: Instant | None
    last_started_at: Instant | None
    last_kind: AttemptKind | None
    last_attempt: Attempt | None


@dataclass(frozen=True)
class Backlog:
    """What waits for one webhook; `oldest_event_at` is None where nothing does."""

    webhook_id: str
    status: WebhookStatus
    pending_deliveries: int
    oldest_event_at: Instant | None
