"""The certificate of a tracking domain, as the sidecar last saw it, and where ACME stands with it.

Pure data; kept in openclick.db, written by the sidecar's `renewals`, read by the command and the
milter.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from openclick.instants import SECOND, Instant

_SOON = 14 * 86_400 * SECOND
_SOON_PART = 6
ASKED_FOR: Instant = 0
"""The next attempt of a certificate that the admin has asked for: now, whatever failed before."""


class CertificateStatus(StrEnum):
    """Where the certificate of a tracking domain stands."""

    SERVED = "served"
    EXPIRED = "expired"
    FAULTY = "faulty"
    MISSING = "missing"


@dataclass(frozen=True)
class TrackingCertificate:
    """What is known of one name.

    `serves_https` tells whether the sidecar can serve https for it.  `not_after_at` is None where
    there is no certificate; `file_fault` is why its file cannot be used.  `by_acme` tells whether
    we obtained it.  `failures` counts orders that failed one after another; the failure is the last
    one's.
    """

    name: str
    serves_https: bool = False
    not_before_at: Instant | None = None
    not_after_at: Instant | None = None
    by_acme: bool = False
    file_fault: str = ""
    failures: int = 0
    attempted_at: Instant | None = None
    next_attempt_at: Instant | None = None
    failure_code: str = ""
    failure_message: str = ""

    @property
    def is_asked_for(self) -> bool:
        """Whether the admin has asked for an order that is not made yet."""
        return self.next_attempt_at == ASKED_FOR

    def status(self, now: Instant) -> CertificateStatus:
        """Return the state that the command shows."""
        if self.not_after_at is None:
            return CertificateStatus.FAULTY if self.file_fault else CertificateStatus.MISSING
        if now >= self.not_after_at:
            return CertificateStatus.EXPIRED
        return CertificateStatus.SERVED


def ends_soon_at(not_before_at: Instant | None, not_after_at: Instant) -> Instant:
    """Return from when on somebody is to look why a certificate was not renewed.

    That is 14 days before its end, and a sixth of its life where that is less: ours are renewed
    when a third is left, and some last for six days.
    """
    if not_before_at is None:
        return not_after_at - _SOON
    return not_after_at - min(_SOON, (not_after_at - not_before_at) // _SOON_PART)
