"""Judges what came lately: readers' addresses, messages, webhooks; pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from openclick.instants import SECOND, Instant, iso
from openclick.store import WebhookState
from openclick.webhooks import WebhookStatus
from openclick_admin.doctor.facts import Facts
from openclick_admin.doctor.findings import Finding, fault, ok, warning

_FEWEST_HITS = 5
"""Fewer hits than this may well be the admin's own."""
_LATE_SECONDS = 3600
_ALL_BUT = 4
_INTERNAL = "internal error"


def client_addresses(facts: Facts) -> Iterator[Finding]:
    """Whether hits carry the readers' addresses, or those of a proxy that is not trusted."""
    for network in facts.config.sidecar.trusted_proxies:
        if network.prefixlen < _ALL_BUT:
            yield fault(
                "sidecar.trusted_proxies",
                f"{network} holds the internet: anybody may claim any address",
                "name your proxies alone",
            )
    seen = facts.traffic.addresses
    if len(seen) < _FEWEST_HITS:
        yield ok("hits", f"{len(seen)} recent hits: too few to tell a proxy by")
        return
    distinct = set(seen)
    if len(distinct) == 1 and _is_private(seen[0]):
        yield fault(
            "hits",
            f"all of the newest {len(seen)} come from {seen[0]}, a private "
            "address: a proxy stands in front that is not trusted, and every reader looks "
            "like one",
            f'set sidecar.trusted_proxies = ["{_as_network(seen[0])}"], and '
            "have the proxy send X-Forwarded-For",
        )
    elif all(map(_is_private, distinct)):
        yield warning(
            "hits",
            f"all of the newest {len(seen)} come from private addresses",
            "where proxies stand in front, name them in sidecar.trusted_proxies",
        )
    else:
        yield ok("hits", f"the newest {len(seen)} come from {len(distinct)} addresses")


def _is_private(text: str) -> bool:
    try:
        return not ip_address(text).is_global
    except ValueError:
        return False


def _as_network(address: str) -> str:
    return f"{address}/{ip_address(address).max_prefixlen}"


def messages(facts: Facts) -> Iterator[Finding]:
    """Whether mail is tracked, and what keeps the rest from it."""
    traffic = facts.traffic
    if traffic.fault:
        yield warning("messages", f"cannot be counted: {traffic.fault}", "see the store's checks")
        return
    total = traffic.instrumented + traffic.untouched
    ours = {r: n for r, n in traffic.reasons.items() if r.startswith(_INTERNAL)}
    for reason, number in ours.items():
        yield fault(
            "messages",
            f"{number} of the last day went out untouched: {reason}",
            "see the milter's log lines: journalctl -u openclick-milter -p warning",
        )
    if total and not traffic.instrumented:
        reason, number = max(traffic.reasons.items(), key=lambda pair: pair[1], default=("", 0))
        yield warning(
            "messages",
            f"none of the {total} of the last day was tracked; {number} for: {reason}",
            "docs/untouched.md tells what each reason means",
        )
    elif not ours:
        yield ok("messages", f"{traffic.instrumented} of {total} of the last day were tracked")


def webhooks(facts: Facts) -> Iterator[Finding]:
    """Whether events reach their webhooks."""
    if facts.webhooks_fault:
        yield fault("webhooks", f"cannot be read: {facts.webhooks_fault}", "see the store's checks")
        return
    if not facts.webhooks:
        yield warning(
            "webhooks",
            "none is added: events wait in the store alone",
            "openclick webhook add URL (or read them: openclick events)",
        )
    for state in facts.webhooks:
        yield from _webhook(state, facts.now)
        if state.webhook.url.startswith("http://") and not facts.config.webhooks.allow_http:
            yield fault(
                state.webhook.webhook_id,
                f"{state.webhook.url} is no https address, and "
                "webhooks.allow_http is false: nothing is posted",
                f"give it an https address: openclick webhook update {state.webhook.webhook_id}",
            )


def _is_neglected(state: WebhookState, now: Instant) -> bool:
    """Tell whether anything that could be posted has not been for long; a wait is no neglect."""
    since = [at for at in (state.due_at, state.unread_at) if at is not None]
    return now - min(since, default=now) > _LATE_SECONDS * SECOND


def _webhook(state: WebhookState, now: Instant) -> Iterator[Finding]:
    webhook, waiting = state.webhook, state.backlog
    name = f"{webhook.webhook_id} {webhook.url}"
    listed = f"openclick webhook deliveries {webhook.webhook_id}"
    oldest = waiting.oldest_event_at
    waits = 0 if oldest is None else (now - oldest) // SECOND
    if webhook.status is WebhookStatus.CIRCUIT_DISABLED:
        yield fault(
            name,
            f"its circuit is open, events wait: {webhook.status_reason}",
            f"mend the receiver; then it goes on by itself, or at once with: openclick "
            f"webhook update {webhook.webhook_id} --status active",
        )
    elif webhook.status is WebhookStatus.DISABLED:
        yield warning(
            name,
            f"is disabled and skips events: {webhook.status_reason or 'by hand'}",
            f"openclick webhook update {webhook.webhook_id} --status active",
        )
    elif webhook.failures:
        yield warning(
            name,
            f"the last {webhook.failures} attempts failed, {waiting.pending_deliveries} "
            "deliveries wait",
            listed,
        )
    elif waits > _LATE_SECONDS and _is_neglected(state, now):
        yield fault(
            name,
            f"its oldest event waits since {iso(oldest or 0)}",
            "does the sidecar run?  journalctl -u openclick-sidecar",
        )
    elif waits > _LATE_SECONDS and state.oldest is not None and state.oldest.attempts:
        late = state.oldest
        yield warning(
            name,
            f"{late.attempts} attempts of delivery {late.batch_id} failed, the next comes at "
            f"{iso(late.next_attempt_at)}; others get through",
            listed,
        )
    else:
        yield ok(name, f"active, {waiting.pending_deliveries} deliveries wait")
    if state.abandoned:
        yield warning(
            name,
            f"{state.abandoned} deliveries were given up",
            f"{listed} --state abandoned; then: openclick webhook retry "
            f"{webhook.webhook_id} --abandoned",
        )
