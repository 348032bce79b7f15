"""The circuit of a webhook: when attempts stop, how it is probed, and when they go on.

Called by the store, inside the transaction that writes how an attempt ended.  Pure: health in,
health out.

    active            10 failed attempts in a row  -> circuit_disabled
    circuit_disabled  a probe once a minute; one that succeeds -> active
    any               the receiver answers 410     -> disabled
"""

from __future__ import annotations

from dataclasses import dataclass

from openclick.instants import SECOND, Instant
from openclick.webhooks import WebhookStatus

FAILURES_IN_A_ROW = 10
PROBE_SECONDS = 60


@dataclass(frozen=True)
class Health:
    """How a webhook does: see `Webhook` for the fields."""

    status: WebhookStatus
    reason: str = ""
    failures: int = 0
    probe_at: Instant | None = None


def after_success(health: Health) -> Health:
    """Return the health after an attempt that was accepted.

    A disabled webhook stays disabled: the attempt was under way when it was switched off.
    """
    if health.status is WebhookStatus.DISABLED:
        return health
    return Health(WebhookStatus.ACTIVE)


def after_failure(health: Health, now: Instant, error: str, pause_until: Instant | None) -> Health:
    """Return the health after a failed attempt; `error` is what is told of it."""
    if health.status is WebhookStatus.DISABLED:
        return health
    failures = health.failures + 1
    if health.status is WebhookStatus.ACTIVE and failures < FAILURES_IN_A_ROW:
        return Health(WebhookStatus.ACTIVE, "", failures)
    return Health(
        WebhookStatus.CIRCUIT_DISABLED,
        f"{failures} failed attempts in a row; the last: {error}",
        failures,
        max(now + PROBE_SECONDS * SECOND, pause_until or 0),
    )


def after_gone(_health: Health) -> Health:
    """Return the health after the receiver has said that it wants no more events (410)."""
    return Health(WebhookStatus.DISABLED, "answered 410: the receiver wants no more events")
