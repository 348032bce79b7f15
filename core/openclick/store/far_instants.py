"""Instants of webhooks that only a clock that was ahead can have written.

Called by `deliveries` and `delivery_desk`.  A machine whose clock is set right after it has started
(a VM before NTP) leaves claims, waits, probes and pauses behind that would end in a year.  An
instant that is further ahead than its longest possible wait counts as due, and so does a delivery
that was never tried, which waits for nothing.

Limits: what lies within the longest wait is waited for; an admin's retry does not wait.
"""

from __future__ import annotations

import sqlite3

from openclick.instants import SECOND, Instant
from openclick.webhooks import DeliveryState

LONGEST_CLAIM_SECONDS = 180
"""A claim holds for `webhooks.timeout_seconds`, 120 at most, and a few seconds more."""
LONGEST_PAUSE_SECONDS = 90_000
"""A receiver that asks for more than a day is asked again after one; probes follow sooner."""
LONGEST_WAIT_SECONDS = 700_000
"""A wait of `webhooks.retry_waits_seconds` has 604,800 at most, and 10 % of jitter."""


def latest_claim_at(now: Instant) -> Instant:
    """Return the last instant until which an attempt that begins by now can be claimed."""
    return now + LONGEST_CLAIM_SECONDS * SECOND


def make_far_instants_due(connection: sqlite3.Connection, now: Instant) -> None:
    """Make everything due that waits for longer than anything can."""
    pause_ends_at = now + LONGEST_PAUSE_SECONDS * SECOND
    for column in ("probe_at", "paused_until"):
        connection.execute(
            f"UPDATE webhooks SET {column} = ? WHERE {column} > ?",  # noqa: S608 - columns of ours
            (now, pause_ends_at),
        )
    connection.execute(
        "UPDATE deliveries SET next_attempt_at = ?, claimed_until = NULL "
        "WHERE state = ? AND (next_attempt_at > ? OR claimed_until > ? "
        # Due when it was formed, by the clock that was ahead.
        "OR attempts = 0 AND next_attempt_at > ?)",
        (
            now,
            DeliveryState.PENDING.value,
            now + LONGEST_WAIT_SECONDS * SECOND,
            latest_claim_at(now),
            now,
        ),
    )
