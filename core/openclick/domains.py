"""Sending domains, their tracking domains, and what "verified" means.

A sending domain is the exact host of a From address; it carries the defaults of tracking and the
prefix of its tracking domain.  Pure data and rules; kept in openclick.db, verified by the sidecar's
`verifier`, made and changed through `domain_desk`.
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


class Scheme(StrEnum):
    """What the admin says of a tracking domain's scheme.

    AUTO for https as soon as it can be served, and http until then.
    """

    AUTO = "auto"
    HTTPS = "https"
    HTTP = "http"


class VerificationMode(StrEnum):
    """What a check does: all of it, or DNS alone where this machine cannot reach itself."""

    FULL = "full"
    DNS = "dns"


class NameState(StrEnum):
    """What a name is to the sending domain that links were sent for."""

    CURRENT = "current"
    FORMER = "former"
    REMOVED = "removed"


@dataclass(frozen=True)
class VerificationFailure:
    """Why a tracking domain is not verified: a stable code, and a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True)
class SendingDomain:
    """One added domain.

    `subdomain` is the prefix of its tracking domain, relative to `name`; empty for none.
    `verified_at` is when the last check succeeded, None while the tracking domain is not verified;
    `https` says that this check did so over https.  `failing_seconds` is for how long checks of a
    verified domain have failed in a row.
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
    scheme: Scheme = Scheme.AUTO
    verification: VerificationMode = VerificationMode.FULL
    https: bool = False
    failing_seconds: float = 0.0

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

    def wanted_scheme(self, default: str) -> Scheme:
        """Return what is asked of its scheme: its own word over `default` (`links.scheme`)."""
        return Scheme(default) if self.scheme is Scheme.AUTO else self.scheme

    def link_scheme(self, default: str) -> str:
        """Return the scheme of links in new mail: "https" or "http"."""
        wanted = self.wanted_scheme(default)
        if wanted is Scheme.AUTO:
            return "https" if self.https else "http"
        return wanted.value


@dataclass(frozen=True)
class TrackingName:
    """A name that links were sent with, or could have been.

    `points_here` is what DNS said when it was last asked and answered, at `checked_at`;
    `pointed_here_at` is when it last did.  `verified_at` is when it was first verified, None while
    no mail was ever tracked with it.
    """

    name: str
    sending_domain: str
    state: NameState
    added_at: Instant
    points_here: bool = False
    checked_at: Instant | None = None
    pointed_here_at: Instant | None = None
    verified_at: Instant | None = None

    @property
    def is_looked_after(self) -> bool:
        """Whether it is to have certificates: it is in use, or links may have been sent with it."""
        return self.state is NameState.CURRENT or self.verified_at is not None
