"""How webhooks and deliveries are printed: rows for people, JSON for programs.

The JSON of a webhook has the fields of the HTTP API's, and a few more.
"""

from __future__ import annotations

from typing import Any

from openclick.instants import Instant, iso, maybe_iso
from openclick.webhooks import SHOWN_SECRET_CHARS, DeliveryReport, DeliveryState, Webhook


def webhook_as_json(webhook: Webhook, now: Instant) -> dict[str, Any]:
    """Return a webhook without its secrets."""
    rotating = webhook.is_rotating(now)
    previous = webhook.previous_secret if rotating else None
    return {
        "id": webhook.webhook_id,
        "name": webhook.name,
        "url": webhook.url,
        "events": list(webhook.events),
        "domains": list(webhook.domains),
        "status": webhook.status.value,
        "status_reason": webhook.status_reason or None,
        "signing_secret_prefix": webhook.secret[:SHOWN_SECRET_CHARS],
        "signing_secret_previous_prefix": previous[:SHOWN_SECRET_CHARS] if previous else None,
        "signing_secret_grace_expires_at": maybe_iso(
            webhook.previous_secret_expires_at if rotating else None
        ),
        "last_delivery_at": maybe_iso(webhook.last_delivery_at),
        "created_at": iso(webhook.created_at),
    }


def webhook_fields(webhook: Webhook, now: Instant) -> list[tuple[str, str]]:
    """Return a webhook without its secrets, for people."""
    told = webhook_as_json(webhook, now)
    fields = [
        ("webhook", webhook.webhook_id),
        ("name", webhook.name),
        ("url", webhook.url),
        ("events", ", ".join(webhook.events)),
        ("domains", ", ".join(webhook.domains) or "all"),
        ("status", webhook.status.value),
        ("reason", webhook.status_reason),
        ("old secret until", told["signing_secret_grace_expires_at"] or ""),
        ("last delivery", told["last_delivery_at"] or ""),
    ]
    return [(name, value) for name, value in fields if value]


def delivery_as_json(report: DeliveryReport) -> dict[str, Any]:
    """Return a delivery with its last attempt."""
    delivery, last = report.delivery, report.last_attempt
    pending = delivery.state is DeliveryState.PENDING
    return {
        "id": delivery.batch_id,
        "webhook_id": delivery.webhook_id,
        "state": delivery.state.value,
        "events": report.event_count,
        "attempts": delivery.attempts,
        "created_at": iso(delivery.created_at),
        "next_attempt_at": iso(delivery.next_attempt_at) if pending else None,
        "finished_at": maybe_iso(report.finished_at),
        "last_attempt": None
        if report.last_started_at is None
        else {
            "started_at": iso(report.last_started_at),
            "finished_at": maybe_iso(last.finished_at if last else None),
            "kind": report.last_kind.value if report.last_kind else None,
            "outcome": (last.outcome or None) if last else None,
            "status_code": last.status_code if last else None,
            "error": (last.error or None) if last else None,
            "response_body_preview": (last.excerpt or None) if last else None,
        },
    }


def delivery_row(report: DeliveryReport) -> tuple[str, ...]:
    """Return a delivery as one row."""
    delivery = report.delivery
    pending = delivery.state is DeliveryState.PENDING
    return (
        delivery.batch_id,
        iso(delivery.created_at),
        delivery.state.value,
        str(report.event_count),
        str(delivery.attempts),
        iso(delivery.next_attempt_at) if pending else "",
        _last_answer(report),
    )


def _last_answer(report: DeliveryReport) -> str:
    if report.last_started_at is None:
        return ""
    if report.last_attempt is None:
        return "none yet"
    status, error = report.last_attempt.status_code, report.last_attempt.error
    words = error or f"answered {status}"
    excerpt = " ".join(report.last_attempt.excerpt.split())[:80]
    return f"{words}: {excerpt}" if excerpt else words
