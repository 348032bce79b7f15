"""Sending domains: their tracking domain, and the status that people see."""

import pytest

from openclick.domains import TrackingStatus, VerificationFailure
from unit.samples import NOW, a_domain


def test_tracking_domain_is_a_prefix_of_the_sending_domain() -> None:
    """So that a reader sees the sender's own name in every link."""
    assert "go.track.kontor.example" == a_domain(subdomain="go.track").tracking_domain


@pytest.mark.parametrize(
    ("opens", "clicks", "verified_at", "status"),
    [
        (False, False, None, TrackingStatus.DISABLED),
        (False, False, NOW, TrackingStatus.DISABLED),
        (True, False, None, TrackingStatus.PENDING),
        (False, True, None, TrackingStatus.PENDING),
        (True, False, NOW, TrackingStatus.VERIFIED),
    ],
)
def test_tracking_status(
    opens: bool, clicks: bool, verified_at: int | None, status: TrackingStatus
) -> None:
    """Disabled while neither feature is on; then pending until verified."""
    domain = a_domain(opens_enabled=opens, clicks_enabled=clicks, verified_at=verified_at)

    assert status is domain.tracking_status


def test_a_verified_domain_may_carry_a_failure() -> None:
    """A check that could not ask leaves a verified domain verified, and says what happened."""
    domain = a_domain(failure=VerificationFailure("dns_no_answer", "no name server answered"))

    assert domain.is_verified
