"""What on the status page needs somebody."""

from dataclasses import replace

import pytest

from openclick.domains import VerificationFailure
from openclick.instants import SECOND
from openclick.store import Heartbeat, WebhookFigures
from openclick.tracking_certificates import TrackingCertificate
from openclick.webhooks import Backlog, WebhookStatus
from openclick_sidecar.metrics import Readings
from openclick_sidecar.status.attention import Level, findings
from openclick_sidecar.status.overview import Overview
from unit.samples import NOW, a_domain

DAY = 86_400 * SECOND
BEAT = Heartbeat(7, "0.1.0", NOW - DAY, NOW - 5 * SECOND, {"instrumented": 5})
WELL = Overview(NOW, (a_domain(),), {}, (), heartbeat=BEAT, free_bytes=10**10, reserve_bytes=10**8)
WEBHOOK = WebhookFigures(
    *("wh_1", "shop", "https://hooks.kontor.example/in", WebhookStatus.ACTIVE, ""),
    *(10, 10, 0, 0, None),
    Backlog("wh_1", WebhookStatus.ACTIVE, 0, None),
)
CERTIFICATE = TrackingCertificate("track.kontor.example", True, NOW - DAY, NOW + 60 * DAY)
FAILURE = VerificationFailure("cname_missing", "track.kontor.example has no CNAME record.")


def found(overview: Overview, **readings: object) -> list[tuple[Level, str]]:
    """Return level and subject of what is found."""
    return [(each.level, each.subject) for each in findings(overview, running(**readings))]


def running(**readings: object) -> Readings:
    """Return the numbers of a sidecar."""
    return replace(Readings(0), **readings)  # type: ignore[arg-type]


def with_certificate(**fields: object) -> Overview:
    """Return an overview with one certificate."""
    certificate = replace(CERTIFICATE, **fields)  # type: ignore[arg-type]
    return replace(WELL, certificates={certificate.name: certificate})


def with_webhook(**fields: object) -> Overview:
    """Return an overview with one webhook."""
    return replace(WELL, webhooks=(replace(WEBHOOK, **fields),))  # type: ignore[arg-type]


def test_all_is_well() -> None:
    """Nothing is said where nothing is to be done."""
    overview = replace(with_certificate(), webhooks=(WEBHOOK,))

    assert found(overview, hits={"recorded": 5, "lost": 0}) == []


FAULTS = {
    "a part of the store": (replace(WELL, faults=("openclick.db: is locked",)), "store"),
    "no milter": (replace(WELL, heartbeat=None), "milter"),
    "a silent milter": (
        replace(WELL, heartbeat=replace(BEAT, beat_at=NOW - 61 * SECOND)),
        "milter",
    ),
    "too little space": (replace(WELL, free_bytes=10**7), "disk"),
    "an expired certificate": (with_certificate(not_after_at=NOW - 1), "track.kontor.example"),
    "a certificate at fault": (
        with_certificate(not_after_at=None, file_fault="is no PEM"),
        "track.kontor.example",
    ),
    "an open circuit": (with_webhook(status=WebhookStatus.CIRCUIT_DISABLED), "shop"),
}
WARNINGS = {
    "faults of the milter": (
        replace(WELL, heartbeat=replace(BEAT, counters={"faults": 2})),
        "milter",
    ),
    "no domain": (replace(WELL, domains=()), "domains"),
    "a domain not verified": (
        replace(WELL, domains=(a_domain(verified_at=None, failure=FAILURE),)),
        "track.kontor.example",
    ),
    "a domain not checked yet": (
        replace(WELL, domains=(a_domain(verified_at=None),)),
        "track.kontor.example",
    ),
    "a verified domain whose checks fail": (
        replace(WELL, domains=(a_domain(failure=FAILURE, failing_seconds=7200),)),
        "track.kontor.example",
    ),
    "a certificate that expires soon": (
        with_certificate(not_before_at=NOW - 77 * DAY, not_after_at=NOW + 13 * DAY),
        "track.kontor.example",
    ),
    "orders that fail": (
        with_certificate(failures=2, failure_message="the CA is busy"),
        "track.kontor.example",
    ),
    "an old event": (
        with_webhook(backlog=Backlog("wh_1", WebhookStatus.ACTIVE, 3, NOW - 601 * SECOND)),
        "shop",
    ),
    "abandoned deliveries": (with_webhook(abandoned=4), "shop"),
}


@pytest.mark.parametrize(("overview", "subject"), FAULTS.values(), ids=FAULTS)
def test_faults(overview: Overview, subject: str) -> None:
    """Something does not work."""
    assert found(overview) == [(Level.FAULT, subject)]


@pytest.mark.parametrize(("overview", "subject"), WARNINGS.values(), ids=WARNINGS)
def test_warnings(overview: Overview, subject: str) -> None:
    """Something will not work, or is not as it was meant."""
    assert found(overview) == [(Level.WARNING, subject)]


def test_the_sidecars_own_numbers() -> None:
    """Lost hits are a fault, many that wait a warning; the fault comes first."""
    assert found(WELL, hits={"lost": 1}, hits_waiting=5000) == [
        (Level.FAULT, "hits"),
        (Level.WARNING, "hits"),
    ]


def test_a_domain_that_is_switched_off() -> None:
    """Nobody wants it verified."""
    off = a_domain(opens_enabled=False, clicks_enabled=False, verified_at=None, failure=FAILURE)

    assert found(replace(WELL, domains=(off,))) == []


def test_what_was_found_is_told() -> None:
    """With the sentence of whoever looked, and what to do."""
    overview = replace(
        with_webhook(abandoned=4), domains=(a_domain(verified_at=None, failure=FAILURE),)
    )

    texts = [each.text for each in findings(overview, running())]

    assert texts == [
        "Not verified, so nothing is tracked: track.kontor.example has no CNAME record.",
        "4 deliveries were given up: openclick webhook deliveries wh_1 --state abandoned.",
    ]


def test_a_certificate_of_six_days() -> None:
    """Needs nobody until its renewal, after four of them, is late."""
    ends_at = NOW + 3 * DAY // 2
    overview = with_certificate(not_before_at=ends_at - 6 * DAY, not_after_at=ends_at)

    assert found(overview) == []
