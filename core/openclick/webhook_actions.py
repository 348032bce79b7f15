"""What a client of the HTTP API may do with webhooks.

Called in the bookkeeper's thread.  Each function checks what it was given, then works on the
registry; what cannot be done raises WebhookError with a stable code, and changes nothing.  A test
delivery is not here, because it posts: see `openclick_sidecar.trial`.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from openclick.instants import SECOND, Instant, iso
from openclick.settings import WebhookSettings
from openclick.store import Registry
from openclick.webhook_rules import (
    UrlRules,
    WebhookError,
    checked_domains,
    checked_events,
    checked_name,
    checked_status,
    checked_url,
)
from openclick.webhooks import SECRET_PREFIX, Webhook, WebhookStatus

_SECRET_BYTES = 24
_GRACE = 86_400 * SECOND


@dataclass(frozen=True)
class WebhookChange:
    """What is to be changed; what is None stays."""

    name: str | None = None
    url: str | None = None
    events: Sequence[str] | None = None
    domains: Sequence[str] | None = None
    status: str | None = None


def url_rules(settings: WebhookSettings) -> UrlRules:
    """Return what the settings say of URLs."""
    return UrlRules(settings.allow_http)


def add_webhook(
    registry: Registry,
    rules: UrlRules,
    now: Instant,
    randomness: Callable[[int], bytes],
    *,
    url: str,
    events: Sequence[str],
    name: str,
    domains: Sequence[str] = (),
) -> Webhook:
    """Add a webhook, active, for the events from now on; the secret is in what is returned."""
    webhook = Webhook(
        webhook_id=f"wh_{uuid.UUID(bytes=randomness(16), version=4)}",
        name=checked_name(name),
        url=checked_url(url, rules),
        events=checked_events(events),
        domains=checked_domains(domains),
        secret=_new_secret(randomness),
        status=WebhookStatus.ACTIVE,
        created_at=now,
    )
    registry.webhooks.add(webhook)
    return webhook


def one_webhook(registry: Registry, webhook_id: str) -> Webhook:
    """Return a webhook.  Raises WebhookError: webhook_not_found."""
    try:
        return registry.webhooks.one_webhook(webhook_id)
    except KeyError as error:
        raise WebhookError(
            "webhook_not_found", f"{webhook_id}: there is no such webhook"
        ) from error


def update_webhook(
    registry: Registry, rules: UrlRules, now: Instant, webhook_id: str, change: WebhookChange
) -> Webhook:
    """Change a webhook and return it as it is then.  Raises WebhookError."""
    webhook = one_webhook(registry, webhook_id)
    status = checked_status(change.status) if change.status is not None else None
    changed = replace(
        webhook,
        name=checked_name(change.name) if change.name is not None else webhook.name,
        url=checked_url(change.url, rules) if change.url is not None else webhook.url,
        events=checked_events(change.events) if change.events is not None else webhook.events,
        domains=checked_domains(change.domains) if change.domains is not None else webhook.domains,
    )
    registry.webhooks.describe(changed)
    if status is WebhookStatus.DISABLED:
        registry.webhooks.disable(webhook_id, now, "switched off")
    elif status is WebhookStatus.ACTIVE and webhook.status is not WebhookStatus.ACTIVE:
        registry.webhooks.enable(webhook_id, now)
    return one_webhook(registry, webhook_id)


def remove_webhook(registry: Registry, webhook_id: str) -> None:
    """Remove a webhook with all its deliveries.  Raises WebhookError: webhook_not_found."""
    if not registry.webhooks.remove(webhook_id):
        raise WebhookError("webhook_not_found", f"{webhook_id}: there is no such webhook")


def rotate_secret(
    registry: Registry, now: Instant, randomness: Callable[[int], bytes], webhook_id: str
) -> Webhook:
    """Give a webhook a new secret.

    Raises WebhookError: webhook_not_found, webhook_rotation_in_progress.
    """
    webhook = one_webhook(registry, webhook_id)
    if webhook.is_rotating(now):
        raise WebhookError(
            "webhook_rotation_in_progress",
            f"{webhook_id}: the secret before the last rotation signs until "
            f"{iso(webhook.previous_secret_expires_at or now)}; it can be rotated again then",
        )
    registry.webhooks.rotate_secret(webhook_id, _new_secret(randomness), now + _GRACE)
    return one_webhook(registry, webhook_id)


def _new_secret(randomness: Callable[[int], bytes]) -> str:
    return SECRET_PREFIX + base64.b64encode(randomness(_SECRET_BYTES)).decode("ascii")
