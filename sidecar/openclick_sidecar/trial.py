"""A test delivery: one synthetic event to one webhook, once.

Called by `openclick webhook test` and by the HTTP API.  The wire is that of every delivery, both
signature families included.  Promises: nothing is written, neither a delivery nor the health of the
webhook; a disabled webhook is tested too; the result has the fields of Anypost's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openclick.instants import SECOND, Instant, iso
from openclick.webhooks import TEST_EVENT_NAME, Webhook
from openclick_sidecar.dispatcher import batch_body, request_fields
from openclick_sidecar.post import Poster


@dataclass(frozen=True)
class TrialResult:
    """How a test delivery went.

    `delivered` is True for a 2xx alone; `status_code` None where no answer came.
    """

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
    body = batch_body(batch_id, timestamp, (_test_event(webhook, started_at, randomness),))
    fields = request_fields(webhook.live_secrets(started_at), batch_id, timestamp, body)
    reply = await poster.post(webhook.url, body, fields)
    return TrialResult(
        delivered=reply.accepted,
        status_code=reply.status_code,
        latency_ms=max(0, (now() - started_at) // 1000),
        error=reply.error or None,
        response_body_preview=reply.excerpt or None,
    )


def _test_event(webhook: Webhook, at: Instant, randomness: Callable[[int], bytes]) -> bytes:
    event = {
        "id": f"evt_{randomness(16).hex()}",
        "type": TEST_EVENT_NAME,
        "occurred_at": iso(at),
        "data": {"webhook_id": webhook.webhook_id, "name": webhook.name},
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
