"""A test delivery: one synthetic event to one webhook, once.

Called by the HTTP API.  The wire is that of every delivery.  Promises: nothing is written; a
disabled webhook is tested too; the result has the fields of Anypost's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openclick import __version__
from openclick.instants import SECOND, Instant, iso
from openclick.webhooks import Webhook
from openclick_sidecar.dispatcher import batch_body
from openclick_sidecar.post import Poster
from openclick_sidecar.signing import signature_headers


@dataclass(frozen=True)
class TrialResult:
    """How a test delivery went: `delivered` is True for a 2xx alone."""

    delivered: bool
    status_code: int | None
    latency_ms: int
    error: str | None
    response_body_preview: str | None

    def as_json(self) -> dict[str, Any]:
        """Return the result as the API answers it."""
        return dict(vars(self))


async def post_trial(
    poster: Poster,
    webhook: Webhook,
    now: Callable[[], Instant],
    randomness: Callable[[int], bytes],
) -> TrialResult:
    """Post one `webhook.test` event."""
    started_at = now()
    batch_id, timestamp = randomness(16).hex(), started_at // SECOND
    event = {
        "id": f"evt_{randomness(16).hex()}",
        "type": "webhook.test",
        "occurred_at": iso(started_at),
        "data": {"webhook_id": webhook.webhook_id, "name": webhook.name},
    }
    body = batch_body(batch_id, timestamp, [json.dumps(event, ensure_ascii=False).encode()])
    fields = {
        "Content-Type": "application/json",
        "User-Agent": f"OpenClick/{__version__}",
        **signature_headers(webhook.secret, batch_id, timestamp, body),
    }
    reply = await poster.post(webhook.url, body, fields)
    return TrialResult(
        delivered=reply.accepted,
        status_code=reply.status_code,
        latency_ms=max(0, (now() - started_at) // 1000),
        error=reply.error or None,
        response_body_preview=reply.excerpt or None,
    )
