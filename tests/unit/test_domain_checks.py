"""What becomes of a domain's state after each check."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from openclick.domain_checks import CheckResult, Patience, patience_of, record_check
from openclick.domains import SendingDomain, TrackingName, VerificationFailure
from openclick.instants import SECOND
from openclick.store import Registry, open_store
from unit.samples import DOMAIN, NOW, a_domain

HOUR = 3600
DAY = 24 * HOUR
PATIENCE = Patience(unverify_after_seconds=72 * HOUR, most_gap_seconds=2 * HOUR)
GOOD = CheckResult(https=True, points_here=True)
BAD = CheckResult(VerificationFailure("points_elsewhere", "points to x"), points_here=False)
SILENT = CheckResult(VerificationFailure("dns_no_answer", "no answer"), keeps_state=True)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """Return a registry with one domain that is not verified."""
    with closing(open_store(f"sqlite:{tmp_path}").registry()) as opened:
        opened.domains.add(a_domain(verified_at=None))
        yield opened


def checked(registry: Registry, *checks: tuple[float, CheckResult]) -> SendingDomain:
    """Write down checks, each so many hours after the first; return the domain after them."""
    domain = registry.domains.maybe_domain(DOMAIN)
    assert domain is not None
    for hours, result in checks:
        at = NOW + int(hours * HOUR) * SECOND
        after = record_check(registry.domains, domain, result, at, PATIENCE)
        assert after is not None
        domain = after
    return domain


def name_of(registry: Registry) -> TrackingName:
    """Return the one name that there is."""
    (name,) = registry.domains.tracking_names()
    return name


def test_success(registry: Registry) -> None:
    """Verified, with https as it was reached, and the name is known to point here."""
    domain = checked(registry, (0, BAD), (1, GOOD))

    assert domain.verified_at == NOW + HOUR * SECOND
    assert (True, None, 0) == (domain.https, domain.failure, domain.failing_seconds)
    assert (True, NOW + HOUR * SECOND) == (
        name_of(registry).points_here,
        name_of(registry).checked_at,
    )


def test_a_domain_that_never_was_verified(registry: Registry) -> None:
    """Stays pending, with the reason."""
    domain = checked(registry, (0, BAD))

    assert not domain.is_verified
    assert BAD.failure == domain.failure
    assert not name_of(registry).points_here


def test_failures_in_a_row(registry: Registry) -> None:
    """A verified domain stays so for 72 hours of them, and no longer."""
    failures = [(1.0 + hour, BAD) for hour in range(72)]

    before = checked(registry, (0, GOOD), *failures)
    after = checked(registry, (73, BAD))

    assert (True, 71 * HOUR) == (before.is_verified, before.failing_seconds)
    assert BAD.failure == before.failure
    assert (False, False, 0) == (after.is_verified, after.https, after.failing_seconds)


def test_a_domain_that_flaps(registry: Registry) -> None:
    """Each success begins the count anew, so that it stays verified for ever."""
    checks = [(float(hour), GOOD if hour % 48 == 0 else BAD) for hour in range(480)]

    domain = checked(registry, *checks)

    assert domain.is_verified
    assert domain.failing_seconds < 48 * HOUR


def test_no_name_server_answers(registry: Registry) -> None:
    """For months: what was verified stays so, what was pending too; where it points is not known
    any better than before."""
    checks = [(1.0 + hour, SILENT) for hour in range(0, 2400, 24)]

    domain = checked(registry, (0, GOOD), *checks)

    assert domain.is_verified
    assert (SILENT.failure, 0) == (domain.failure, domain.failing_seconds)
    assert (True, NOW) == (name_of(registry).points_here, name_of(registry).checked_at)


def test_silence_between_failures(registry: Registry) -> None:
    """Neither ends the count nor adds to it."""
    domain = checked(registry, (0, GOOD), (1, BAD), (2, BAD), (2.5, SILENT))
    silent_for = domain.failing_seconds

    domain = checked(registry, (2.5, SILENT), (3.5, BAD))

    assert HOUR == silent_for
    assert 2 * HOUR == domain.failing_seconds


@pytest.mark.parametrize("days", [400, -400])
def test_clock_is_set(registry: Registry, days: int) -> None:
    """By 400 days between two failures: no failure gets old by that, and no count ends."""
    domain = checked(registry, (0, GOOD), (1, BAD), (2, BAD))

    domain = checked(registry, (24 * days, BAD), (24 * days + 1, BAD))

    assert domain.is_verified
    assert HOUR + (2 * HOUR if days > 0 else 0) + HOUR == domain.failing_seconds


def test_sidecar_was_off(registry: Registry) -> None:
    """A month between two failures counts as two usual waits: nobody knows what was meanwhile."""
    domain = checked(registry, (0, GOOD), (1, BAD), (720, BAD))

    assert (True, 2 * HOUR) == (domain.is_verified, domain.failing_seconds)


def test_subdomain_changed_meanwhile(registry: Registry) -> None:
    """What was found of the old tracking domain is not said of the new one."""
    before = registry.domains.maybe_domain(DOMAIN)
    assert before is not None
    registry.domains.update(a_domain(subdomain="go"), NOW)

    after = record_check(registry.domains, before, GOOD, NOW, PATIENCE)

    assert after == a_domain(subdomain="go", verified_at=None)


def test_removed_meanwhile(registry: Registry) -> None:
    """None, and nothing comes back."""
    before = registry.domains.maybe_domain(DOMAIN)
    assert before is not None
    registry.domains.remove(before.domain_id)

    assert record_check(registry.domains, before, BAD, NOW, PATIENCE) is None
    assert registry.domains.many_domains() == []


def test_patience_of_the_settings() -> None:
    """Hours, and at most two usual waits at a time."""
    assert Patience(72 * 3600.0, 7200.0) == patience_of(72, 3600)
