"""`openclick webhook`: the receivers of events."""

from __future__ import annotations

import os
import uuid
from typing import Any
from urllib.parse import urlsplit

import click

from openclick.instants import iso, now
from openclick.webhooks import ACCEPTED_EVENT_NAMES, Webhook, WebhookStatus
from openclick_admin.context import Admin, pass_admin
from openclick_admin.names import names_parameter
from openclick_admin.output import json_option, print_fields, print_json, print_table
from openclick_sidecar.signing import new_secret


@click.group("webhook")
def command() -> None:
    """Where events are posted."""


@command.command("add")
@click.argument("url")
@click.option("--name", default="", help="A name for people; the URL's host by default.")
@click.option(
    "--event",
    "events",
    multiple=True,
    type=click.Choice(ACCEPTED_EVENT_NAMES),
    default=("email.opened", "email.clicked"),
    show_default=True,
    help="An event to post; repeatable.",
)
@click.option(
    "--domain",
    "domains",
    multiple=True,
    callback=names_parameter,
    help="Only this sending domain; repeatable.",
)
@json_option
@pass_admin
def add(
    admin: Admin,
    url: str,
    name: str,
    events: tuple[str, ...],
    domains: tuple[str, ...],
    as_json: bool,
) -> None:
    """Post events to URL from now on.  The signing secret is shown this once."""
    host = _checked_host(url, admin.config.webhooks.allow_http)
    webhook = Webhook(
        webhook_id=f"wh_{uuid.uuid4()}",
        name=name or host,
        url=url,
        events=events,
        domains=domains,
        secret=new_secret(os.urandom),
        status=WebhookStatus.ACTIVE,
        created_at=now(),
    )
    with admin.registry() as registry:
        registry.webhooks.add(webhook)
    if as_json:
        print_json(_as_json(webhook) | {"signing_secret": webhook.secret})
    else:
        print_fields([*_fields(webhook), ("signing secret", webhook.secret)])


@command.command("list")
@json_option
@pass_admin
def list_webhooks(admin: Admin, as_json: bool) -> None:
    """List the webhooks."""
    with admin.registry() as registry:
        webhooks = registry.webhooks.many_webhooks()
    if as_json:
        print_json([_as_json(webhook) for webhook in webhooks])
        return
    print_table(
        ("ID", "NAME", "URL", "EVENTS", "STATUS"),
        [(w.webhook_id, w.name, w.url, ", ".join(w.events), w.status.value) for w in webhooks],
        "No webhook is added yet; add one with: openclick webhook add https://...",
    )


def _checked_host(url: str, allow_http: bool) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise click.BadParameter(f"{url!r}: {error}") from error
    schemes = ("https", "http") if allow_http else ("https",)
    if parts.scheme not in schemes or not host:
        hint = "" if allow_http else " (http needs webhooks.allow_http = true)"
        raise click.BadParameter(f"{url!r}: need an https address{hint}")
    if parts.username is not None or " " in url or not url.isprintable():
        raise click.BadParameter(f"{url!r}: need an address without user, blank and control byte")
    return host


def _fields(webhook: Webhook) -> list[tuple[str, str]]:
    return [
        ("webhook", webhook.webhook_id),
        ("name", webhook.name),
        ("url", webhook.url),
        ("events", ", ".join(webhook.events)),
        ("domains", ", ".join(webhook.domains) or "all"),
        ("status", webhook.status.value),
    ]


def _as_json(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.webhook_id,
        "name": webhook.name,
        "url": webhook.url,
        "events": list(webhook.events),
        "domains": list(webhook.domains),
        "status": webhook.status.value,
        "signing_secret_prefix": webhook.secret[:12],
        "created_at": iso(webhook.created_at),
    }
