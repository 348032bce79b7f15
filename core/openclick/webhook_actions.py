"""What an admin or a client of the HTTP API may do with webhooks and their deliveries.

Called by the command, in its process, and by the HTTP API, in the bookkeeper's thread.  Each
function checks what it was given, then works on the registry; what cannot be done raises
WebhookError with a stable code, and changes nothing.  The store's own faults pass through as
StoreFault.  A test delivery is not here, because it posts: see `openclick_sidecar.trial`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from openclick.instants import Instant, iso
from openclick.store import Registry
from openclick.webhook_rules import (
    UrlRules,
    WebhookError,
    checked_domains,
    checked_events,
    checked_name,
    checked_status,
    checked_url,
    host_of_url,
)
from openclick.webhook_settings import WebhookSettings
from openclick.webhooks import (
    Delivery,
    DeliveryReport,
    DeliveryState,
    Webhook,
    WebhookStatus,
    grace_ends_at,
    new_secret,
)

DISABLED_BY_ADMIN = "switched off"


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
    return UrlRules(settings.allow_http, settings.allow_private_networks)


def add_webhook(
    registry: Registry,
    rules: UrlRules,
    now: Instant,
    randomness: Callable[[int], bytes],
    *,
    url: str,
    events: Sequence[str],
    name: str = "",
    domains: Sequence[str] = (),
) -> Webhook:
    """Add a webhook, active, for the events from now on; its name is its host where none is given.

    `randomness` returns so many random bytes.  The secret is in what is returned, and is to be
    shown this once.
    """
    checked = checked_url(url, rules)
    webhook = Webhook(
        webhook_id=f"wh_{uuid.UUID(bytes=randomness(16), version=4)}",
        name=checked_name(name or host_of_url(checked)),
        url=checked,
        events=checked_events(events),
        domains=checked_domains(domains),
        secret=new_secret(randomness),
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
    """Change a webhook and return it as it is then.

    Disabling abandons what it has not got; `active` for one that is not active starts it again (a
    disabled one with the events from now on, an open circuit with all that waited).
    """
    webhook = one_webhook(registry, webhook_id)
    status = checked_status(change.status) if change.status is not None else None
    changed = replace(
        webhook,
        name=checked_name(change.name) if change.name is not None else webhook.name,
        url=checked_url(change.url, rules) if change.url is not None else webhook.url,
        events=checked_events(change.events) if change.events is not None else webhook.events,
        domains=checked_domains(change.domains) if change.domains is not None else webhook.domains,
    )
    if changed != webhook:
        registry.webhooks.describe(changed)
    if status is WebhookStatus.DISABLED and webhook.status is not WebhookStatus.DISABLED:
        registry.webhooks.disable(webhook_id, now, DISABLED_BY_ADMIN)
    elif status is WebhookStatus.ACTIVE and webhook.status is not WebhookStatus.ACTIVE:
        registry.webhooks.enable(webhook_id, now)
    return one_webhook(registry, webhook_id)


def remove_webhook(registry: Registry, webhook_id: str) -> None:
    """Remove a webhook with all its deliveries."""
    if not registry.webhooks.remove(webhook_id):
        raise WebhookError("webhook_not_found", f"{webhook_id}: there is no such webhook")


def rotate_secret(
    registry: Registry, now: Instant, randomness: Callable[[int], bytes], webhook_id: str
) -> Webhook:
    """Give a webhook a new secret; the old one goes on signing beside it for 24 hours."""
    webhook = one_webhook(registry, webhook_id)
    if webhook.is_rotating(now):
        expires_at = webhook.previous_secret_expires_at or now
        raise WebhookError(
            "webhook_rotation_in_progress",
            f"{webhook_id}: the secret before the last rotation signs until {iso(expires_at)}; "
            "it can be rotated again then",
        )
    registry.webhooks.rotate_secret(webhook_id, new_secret(randomness), grace_ends_at(now))
    return one_webhook(registry, webhook_id)


def many_deliveries(
    registry: Registry,
    webhook_id: str,
    state: DeliveryState | None = None,
    limit: int = 100,
    before: int | None = None,
) -> list[DeliveryReport]:
    """Return deliveries of a webhook, newest first, with their last answers."""
    one_webhook(registry, webhook_id)
    return registry.delivery_desk.many_reports(webhook_id, state, limit, before)


def retry_delivery(registry: Registry, now: Instant, batch_id: str) -> Delivery:
    """Make an abandoned delivery pending again, or a pending one due now; its list begins anew."""
    delivery = registry.delivery_desk.maybe_delivery(batch_id)
    if delivery is None:
        raise WebhookError("delivery_not_found", f"{batch_id}: there is no such delivery")
    if delivery.state is DeliveryState.DELIVERED:
        raise WebhookError(
            "delivery_delivered",
            f"{batch_id}: is delivered; to send its events again, replay them",
        )
    _require_enabled(one_webhook(registry, delivery.webhook_id))
    if not registry.delivery_desk.retry(delivery.delivery_id, now):
        raise WebhookError("delivery_under_way", f"{batch_id}: an attempt is being made right now")
    return delivery


def retry_abandoned(registry: Registry, now: Instant, webhook_id: str) -> int:
    """Make every abandoned delivery of a webhook pending again; return how many there were."""
    _require_enabled(one_webhook(registry, webhook_id))
    return registry.delivery_desk.retry_abandoned(webhook_id, now)


def replay_events(registry: Registry, webhook_id: str, since: Instant) -> int:
    """Send the events since an instant again, in new deliveries; return how many.

    They keep their ids.  Events that came in between are sent again too, and new ones come after
    them.
    """
    _require_enabled(one_webhook(registry, webhook_id))
    return registry.delivery_desk.replay(webhook_id, since)


def _require_enabled(webhook: Webhook) -> None:
    if webhook.status is WebhookStatus.DISABLED:
        raise WebhookError(
            "webhook_disabled",
            f"{webhook.webhook_id}: is disabled ({webhook.status_reason}); make it active first",
        )
