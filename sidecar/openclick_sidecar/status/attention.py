"""What on the status page needs somebody: each with what was found and what happens.

Called by `page`.  Pure; facts in, findings out, the worst first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from openclick.domains import SendingDomain
from openclick.instants import SECOND, Instant
from openclick.store import WebhookFigures
from openclick.tracking_certificates import (
    CertificateStatus,
    TrackingCertificate,
    ends_soon_at,
)
from openclick.webhooks import WebhookStatus
from openclick_sidecar.metrics import Readings
from openclick_sidecar.status.overview import Overview
from openclick_sidecar.status.words import number, size, span
from openclick_sidecar.store_state import SILENT_SECONDS

_OLD_EVENT_SECONDS = 600
_MANY_WAITING = 2000


class Level(IntEnum):
    """How bad it is."""

    FAULT = 0
    WARNING = 1


@dataclass(frozen=True)
class Finding:
    """One thing: its subject, and a sentence."""

    level: Level
    subject: str
    text: str


def findings(overview: Overview, readings: Readings) -> list[Finding]:
    """Return what needs somebody, faults first."""
    found = [Finding(Level.FAULT, "store", fault) for fault in overview.faults]
    found += _milter(overview)
    found += _sidecar(overview, readings)
    if overview.domains is not None:
        found += _domains(overview.domains)
    for certificate in overview.certificates.values():
        found += _certificate(certificate, overview.at)
    for webhook in overview.webhooks or ():
        found += _webhook(webhook, overview.at)
    return sorted(found, key=lambda each: each.level)


def _milter(overview: Overview) -> Iterator[Finding]:
    beat = overview.heartbeat
    if beat is None:
        yield Finding(
            Level.FAULT,
            "milter",
            "It has never run on this store: start openclick-milter; until then mail goes out "
            "untracked, or waits.",
        )
        return
    silent = (overview.at - beat.beat_at) / SECOND
    if silent > SILENT_SECONDS:
        yield Finding(
            Level.FAULT,
            "milter",
            f"Its last sign of life is {span(silent)} old, and one comes every 10 s: mail goes out "
            "untracked, or waits.",
        )
    faults = beat.counters.get("faults", 0)
    if faults:
        yield Finding(
            Level.WARNING,
            "milter",
            f"{number(faults)} messages went out untouched because something failed; its log says "
            "what.",
        )


def _sidecar(overview: Overview, readings: Readings) -> Iterator[Finding]:
    lost = readings.hits.get("lost", 0)
    if lost:
        yield Finding(
            Level.FAULT,
            "hits",
            f"{number(lost)} were answered and reached no disk since the sidecar's start.",
        )
    if readings.hits_waiting > _MANY_WAITING:
        yield Finding(
            Level.WARNING,
            "hits",
            f"{number(readings.hits_waiting)} wait for the disk, which does not keep up.",
        )
    free = overview.free_bytes
    if free is not None and free < overview.reserve_bytes:
        yield Finding(
            Level.FAULT,
            "disk",
            f"{size(free)} are free, and {size(overview.reserve_bytes)} are to stay so: hits go to "
            "the journal.",
        )


def _domains(domains: tuple[SendingDomain, ...]) -> Iterator[Finding]:
    if not domains:
        yield Finding(
            Level.WARNING,
            "domains",
            "No sending domain is added, so nothing is tracked: openclick domain add.",
        )
    for domain in domains:
        name, failure = domain.tracking_domain or domain.name, domain.failure
        if domain.is_verified and failure is not None:
            yield Finding(
                Level.WARNING,
                name,
                f"Checks have failed for {span(domain.failing_seconds)}, and it is still tracked: "
                f"{failure.message}",
            )
        elif not domain.is_verified and (domain.opens_enabled or domain.clicks_enabled):
            why = failure.message if failure else "No check has been made yet."
            yield Finding(Level.WARNING, name, f"Not verified, so nothing is tracked: {why}")


def _certificate(certificate: TrackingCertificate, now: Instant) -> Iterator[Finding]:
    status, ends_at = certificate.status(now), certificate.not_after_at
    if status is CertificateStatus.EXPIRED and ends_at is not None:
        yield Finding(
            Level.FAULT,
            certificate.name,
            f"Its certificate has expired {span((now - ends_at) / SECOND)} ago: browsers refuse "
            "its https links.",
        )
    elif ends_at is not None and now >= ends_soon_at(certificate.not_before_at, ends_at):
        yield Finding(
            Level.WARNING,
            certificate.name,
            f"Its certificate expires in {span((ends_at - now) / SECOND)}.",
        )
    if certificate.file_fault:
        yield Finding(Level.FAULT, certificate.name, certificate.file_fault)
    if certificate.failures and certificate.failure_message:
        yield Finding(
            Level.WARNING,
            certificate.name,
            f"{number(certificate.failures)} orders of a certificate failed in a row: "
            f"{certificate.failure_message}",
        )


def _webhook(webhook: WebhookFigures, now: Instant) -> Iterator[Finding]:
    oldest_at = webhook.backlog.oldest_event_at
    if webhook.status is WebhookStatus.CIRCUIT_DISABLED:
        yield Finding(
            Level.FAULT,
            webhook.name,
            f"Its circuit is open, and its events wait: {webhook.status_reason}",
        )
    elif oldest_at is not None and now - oldest_at > _OLD_EVENT_SECONDS * SECOND:
        yield Finding(
            Level.WARNING,
            webhook.name,
            f"Its oldest event has waited for {span((now - oldest_at) / SECOND)}.",
        )
    if webhook.abandoned:
        yield Finding(
            Level.WARNING,
            webhook.name,
            f"{number(webhook.abandoned)} deliveries were given up: openclick webhook deliveries "
            f"{webhook.webhook_id} --state abandoned.",
        )
