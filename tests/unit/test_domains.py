"""Sending domains: their tracking domain, and the status that people see."""

import pytest

from openclick.domains import Scheme, TrackingStatus, VerificationFailure
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


def test_no_subdomain_no_tracking_domain() -> None:
    """Legal while nothing is to be tracked."""
    assert a_domain(subdomain="").tracking_domain == ""


@pytest.mark.parametrize(
    ("own", "setting", "https", "scheme"),
    [
        (Scheme.AUTO, "auto", False, "http"),
        (Scheme.AUTO, "auto", True, "https"),
        (Scheme.AUTO, "https", False, "https"),
        (Scheme.AUTO, "http", True, "http"),
        (Scheme.HTTP, "https", True, "http"),
        (Scheme.HTTPS, "http", False, "https"),
    ],
)
def test_scheme_of_links(own: Scheme, setting: str, https: bool, scheme: str) -> None:
    """The domain's word over links.scheme; where neither says, https once a check came through."""
    domain = a_domain(scheme=own, https=https)

    assert scheme == domain.link_scheme(setting)
