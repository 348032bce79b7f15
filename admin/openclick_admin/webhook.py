"""`openclick webhook`: the receivers of events, and what was delivered to them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from openclick.instants import Instant, now, parse_iso
from openclick.store import Registry
from openclick.webhook_actions import (
    WebhookChange,
    add_webhook,
    many_deliveries,
    one_webhook,
    remove_webhook,
    replay_events,
    retry_abandoned,
    retry_delivery,
    rotate_secret,
    update_webhook,
    url_rules,
)
from openclick.webhook_rules import WebhookError
from openclick.webhooks import ACCEPTED_EVENT_NAMES, DeliveryState, Webhook
from openclick_admin.context import Admin, pass_admin
from openclick_admin.output import json_option, print_fields, print_json, print_table
from openclick_admin.webhook_output import (
    delivery_as_json,
    delivery_row,
    webhook_as_json,
    webhook_fields,
)

_DELIVERY_COLUMNS = ("DELIVERY", "FORMED", "STATE", "EVENTS", "ATTEMPTS", "NEXT", "LAST ANSWER")
_webhook_argument = click.argument("webhook_id", metavar="WEBHOOK")
_event_option = click.option(
    "--event",
    "events",
    multiple=True,
    type=click.Choice(ACCEPTED_EVENT_NAMES),
    help="An event to post; repeatable.  By default email.opened and email.clicked.",
)
_domain_option = click.option(
    "--domain", "domains", multiple=True, help="Only this sending domain; repeatable."
)


@contextmanager
def _registry(admin: Admin) -> Iterator[Registry]:
    try:
        with admin.registry() as registry:
            yield registry
    except WebhookError as error:
        if error.code.startswith("invalid_"):
            raise click.UsageError(str(error)) from error
        raise click.ClickException(str(error)) from error


@click.group("webhook")
def command() -> None:
    """Where events are posted, and what came of it."""


@command.command("add")
@click.argument("url")
@click.option("--name", default="", help="A name for people; the URL's host by default.")
@_event_option
@_domain_option
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
    with _registry(admin) as registry:
        webhook = add_webhook(
            registry,
            url_rules(admin.config.webhooks),
            now(),
            os.urandom,
            url=url,
            events=events or ("email.opened", "email.clicked"),
            name=name,
            domains=domains,
        )
    _print_with_secret(webhook, as_json)


@command.command("list")
@json_option
@pass_admin
def list_webhooks(admin: Admin, as_json: bool) -> None:
    """List the webhooks."""
    with _registry(admin) as registry:
        webhooks = registry.webhooks.many_webhooks()
    if as_json:
        print_json([webhook_as_json(webhook, now()) for webhook in webhooks])
        return
    print_table(
        ("ID", "NAME", "URL", "EVENTS", "STATUS"),
        [(w.webhook_id, w.name, w.url, ", ".join(w.events), w.status.value) for w in webhooks],
        "No webhook is added yet; add one with: openclick webhook add https://...",
    )


@command.command("show")
@_webhook_argument
@json_option
@pass_admin
def show(admin: Admin, webhook_id: str, as_json: bool) -> None:
    """Show one webhook; never its secret."""
    with _registry(admin) as registry:
        webhook = one_webhook(registry, webhook_id)
    _print(webhook, as_json)


@command.command("update")
@_webhook_argument
@click.option("--name", help="Another name.")
@click.option("--url", help="Another address.")
@_event_option
@_domain_option
@click.option("--all-domains", is_flag=True, help="The events of every sending domain.")
@click.option(
    "--status",
    type=click.Choice(("active", "disabled")),
    help="disabled abandons what is not delivered yet and skips events; active goes on from now.",
)
@json_option
@pass_admin
def update(
    admin: Admin, /, webhook_id: str, all_domains: bool, as_json: bool, **named: Any
) -> None:
    """Change a webhook; what is not named stays."""
    change = WebhookChange(
        name=named["name"],
        url=named["url"],
        events=named["events"] or None,
        domains=() if all_domains else named["domains"] or None,
        status=named["status"],
    )
    with _registry(admin) as registry:
        rules = url_rules(admin.config.webhooks)
        webhook = update_webhook(registry, rules, now(), webhook_id, change)
    _print(webhook, as_json)


@command.command("remove")
@_webhook_argument
@pass_admin
def remove(admin: Admin, webhook_id: str) -> None:
    """Remove a webhook, with its deliveries."""
    with _registry(admin) as registry:
        remove_webhook(registry, webhook_id)
    click.echo(f"{webhook_id} is removed")


@command.command("test")
@_webhook_argument
@json_option
@pass_admin
def test(admin: Admin, webhook_id: str, as_json: bool) -> None:
    """Post one webhook.test event now; exit 1 unless the answer is a 2xx.

    Not tried again, not written down; a disabled webhook is tested too.
    """
    from openclick_admin.webhook_trial import run_trial  # noqa: PLC0415 - starts a reactor

    with _registry(admin) as registry:
        webhook = one_webhook(registry, webhook_id)
    result = run_trial(admin.config, webhook)
    if as_json:
        print_json(result.as_json())
    else:
        print_fields([(name, str(value)) for name, value in result.as_json().items()])
    raise SystemExit(0 if result.delivered else 1)


@command.command("rotate-secret")
@_webhook_argument
@json_option
@pass_admin
def rotate(admin: Admin, webhook_id: str, as_json: bool) -> None:
    """Make a new secret, shown this once; the old one signs beside it for 24 hours."""
    with _registry(admin) as registry:
        webhook = rotate_secret(registry, now(), os.urandom, webhook_id)
    _print_with_secret(webhook, as_json)


@command.command("deliveries")
@_webhook_argument
@click.option("--state", type=click.Choice([state.value for state in DeliveryState]))
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@json_option
@pass_admin
def deliveries(admin: Admin, webhook_id: str, state: str | None, limit: int, as_json: bool) -> None:
    """List deliveries, newest first, each with its last answer."""
    with _registry(admin) as registry:
        wanted = DeliveryState(state) if state else None
        reports = many_deliveries(registry, webhook_id, wanted, limit)
    if as_json:
        print_json([delivery_as_json(report) for report in reports])
        return
    print_table(_DELIVERY_COLUMNS, [delivery_row(r) for r in reports], "No delivery.")


@command.command("retry")
@click.argument("ids", nargs=-1, metavar="[DELIVERY]...")
@click.option("--abandoned", "webhook_id", metavar="WEBHOOK", help="All that were abandoned.")
@pass_admin
def retry(admin: Admin, ids: tuple[str, ...], webhook_id: str | None) -> None:
    """Try deliveries again now, their lists from the beginning."""
    if bool(ids) == (webhook_id is not None):
        raise click.UsageError("need either deliveries or --abandoned WEBHOOK")
    with _registry(admin) as registry:
        if webhook_id is not None:
            count = retry_abandoned(registry, now(), webhook_id)
        else:
            count = len([retry_delivery(registry, now(), batch_id) for batch_id in ids])
    click.echo(f"{count} deliveries are tried again")


@command.command("replay")
@_webhook_argument
@click.option(
    "--since", required=True, metavar="INSTANT", help="Such as 2026-11-27T08:00:00Z, in UTC."
)
@pass_admin
def replay(admin: Admin, webhook_id: str, since: str) -> None:
    """Send every event since INSTANT again, with the ids that they had."""
    with _registry(admin) as registry:
        count = replay_events(registry, webhook_id, _instant(since))
    click.echo(f"{count} events are sent again")


def _instant(text: str) -> Instant:
    try:
        return parse_iso(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from error


def _print(webhook: Webhook, as_json: bool) -> None:
    if as_json:
        print_json(webhook_as_json(webhook, now()))
    else:
        print_fields(webhook_fields(webhook, now()))


def _print_with_secret(webhook: Webhook, as_json: bool) -> None:
    if as_json:
        print_json(webhook_as_json(webhook, now()) | {"signing_secret": webhook.secret})
    else:
        print_fields([*webhook_fields(webhook, now()), ("signing secret", webhook.secret)])
