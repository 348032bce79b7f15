"""What a check of a tracking domain has found, and what becomes of its state.

Called by the sidecar's `verifying` and by `openclick domain verify`, which make the check, and
have it written down here.

Promises: a check that could not ask changes nothing.  A verified domain stays verified until its
checks have failed for `Patience.unverify_after_seconds` in a row.  How long is counted between
checks and never more than `most_gap_seconds` at a time: neither a clock that is set by 400 days nor
a sidecar that was off for a month turns tracking off.
"""

from __future__ import annotations

from dataclasses import dataclass

from openclick.domains import SendingDomain, VerificationFailure
from openclick.instants import SECOND, Instant
from openclick.store.domains import DomainBook

_HOUR_SECONDS = 3600.0


@dataclass(frozen=True)
class CheckResult:
    """The result of one check; `failure` is None where the domain is verified.

    `keeps_state` is True where nothing could be learned (no name server answered).  `https` says
    that the domain was reached over https.  `points_here` is what DNS says, None where it could not
    be asked.
    """

    failure: VerificationFailure | None = None
    keeps_state: bool = False
    https: bool = False
    points_here: bool | None = None


@dataclass(frozen=True)
class Patience:
    """For how long checks may fail before a verified domain is verified no more.

    `most_gap_seconds` is the most that one wait between two checks counts.
    """

    unverify_after_seconds: float
    most_gap_seconds: float


def patience_of(unverify_after_hours: float, check_every_seconds: float) -> Patience:
    """Return the patience that the settings ask for."""
    return Patience(unverify_after_hours * _HOUR_SECONDS, 2 * check_every_seconds)


def failing_seconds(domain: SendingDomain, checked_at: Instant, patience: Patience) -> float:
    """Return for how long checks of `domain` have failed, now that one has failed again."""
    if domain.failure is None or domain.checked_at is None:
        return 0.0
    waited = (checked_at - domain.checked_at) / SECOND
    return domain.failing_seconds + min(max(waited, 0.0), patience.most_gap_seconds)


def record_check(
    book: DomainBook,
    domain: SendingDomain,
    result: CheckResult,
    checked_at: Instant,
    patience: Patience,
) -> SendingDomain | None:
    """Write down what a check of `domain` has found; return the domain as it stands now.

    None where it was removed meanwhile; where it has another subdomain now, nothing is written.
    Raises StoreFault.
    """
    if result.points_here is not None:
        book.record_names([(domain.tracking_domain, result.points_here)], checked_at)
    if result.failure is None:
        book.record_verified(
            domain.name, checked_at, https=result.https, subdomain=domain.subdomain
        )
    else:
        _record_failure(book, domain, result, result.failure, checked_at, patience)
    return book.maybe_domain(domain.name)


def _record_failure(
    book: DomainBook,
    domain: SendingDomain,
    result: CheckResult,
    failure: VerificationFailure,
    checked_at: Instant,
    patience: Patience,
) -> None:
    # Read again: what stood there when the check began may be minutes old.
    known = book.maybe_domain(domain.name) or domain
    seconds = known.failing_seconds
    keeps = result.keeps_state
    if not keeps:
        seconds = failing_seconds(known, checked_at, patience)
        keeps = known.is_verified and seconds < patience.unverify_after_seconds
    book.record_failure(
        domain.name,
        checked_at,
        failure,
        keep_state=keeps,
        failing_seconds=seconds if keeps else 0.0,
        subdomain=domain.subdomain,
    )
