"""Sending domains, their tracking domains, and what "verified" means.

A sending domain is the exact host of a From address; it carries the defaults of tracking and the
prefix of its tracking domain.  Pure data and rules; kept in openclick.db, verified by the sidecar's
`verifier`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from openclick.instants import Instant


class TrackingStatus(StrEnum):
    """Where the tracking domain of a sending domain stands."""

    DISABLED = "disabled"
    PENDING = "pending"
    VERIFIED = "verified"


@dataclass(frozen=True)
class VerificationFailure:
    """Why a tracking domain is not verified: a stable code, and a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True)
class SendingDomain:
    """One added domain.

    `subdomain` is the prefix of its tracking domain, relative to `name`; empty for none.
    `verified_at` is when the last check succeeded, None while the tracking domain is not verified.
    """

    domain_id: str
    name: str
    opens_enabled: bool
    clicks_enabled: bool
    subdomain: str
    created_at: Instant
    verified_at: Instant | None = None
    checked_at: Instant | None = None
    failure: VerificationFailure | None = None

    @property
    def tracking_domain(self) -> str:
        """The host name that tracking links of this domain carry; empty without a subdomain."""
        return f"{self.subdomain}.{self.name}" if self.subdomain else ""

    @property
    def is_verified(self) -> bool:
        """Whether mail of this domain may be tracked."""
        return self.verified_at is not None

    @property
    def tracking_status(self) -> TrackingStatus:
        """The state that the command and the API show."""
        if not (self.opens_enabled or self.clicks_enabled):
            return TrackingStatus.DISABLED
        return TrackingStatus.VERIFIED if self.is_verified else TrackingStatus.PENDING
