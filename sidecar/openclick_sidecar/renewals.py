"""Keeps certificates fresh: looks at what is there, has ordered by ACME what is due.

Called by `service` every few seconds.  A survey, in the bookkeeper's thread, compares the names
with the certificate files and writes down what has changed, for the command and the milter; then at
most one certificate at a time is ordered, in a thread of its own that nobody waits for.

Promises: an order and the next time are written down before it is made, so that neither a crash nor
a restart orders more often; what fails waits longer each time, a day at most; a fault that is not
the name's own (the CA is down, say) pauses all orders instead, an hour at most where the CA does
not ask for more, and so does a limit of the CA's that several names have met; a name that the admin
asks for (`openclick certificate renew`) waits for no pause.  Of the names that
are due, the one whose last attempt is longest ago comes first.  A certificate that
we obtained is renewed at two thirds of its life; one of another origin is left alone until it has
expired.  Without openclick.db nothing is ordered.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from openclick.instants import SECOND, Instant, iso, maybe_iso
from openclick.logs import line
from openclick.store import Registry, StoreFault
from openclick.tracking_certificates import TrackingCertificate
from openclick_sidecar.acme_client import RATE_LIMITED, AcmeFault
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.certificate_shelf import CertificateShelf
from openclick_sidecar.certificates import BadCertificate, Certificate, read_certificate
from openclick_sidecar.fresh_file import fresh_file
from openclick_sidecar.judging import detach

log = logging.getLogger(__name__)

TICK_SECONDS = 5.0
WAITS_SECONDS = (300, 900, 3600, 14_400, 43_200, 86_400)
"""What follows the first, the second, ... failure; the last one follows every further."""
_AFTER_SUCCESS_SECONDS = 86_400
_FIRST_PAUSE_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 3600.0
_LIMITED_NAMES = 3
"""So many names that the CA gives no more to, one after another, have met a limit of the account.

Fewer may all be below one registered domain, which has a limit of its own.
"""


class Obtains(Protocol):
    """What of an ACME client is used here."""

    def obtain(self, name: str) -> bytes:
        """Return the content of a certificate file.  Raises AcmeFault."""


Names = Callable[[Registry], Collection[str]]
"""The tracking domains that want https, from the store.  Raises StoreFault."""


def wait_seconds(failures: int) -> int:
    """Return how long to wait after that many failures in a row."""
    return WAITS_SECONDS[min(max(failures, 1), len(WAITS_SECONDS)) - 1]


def is_due(certificate: Certificate | None, state: TrackingCertificate, now: Instant) -> bool:
    """Tell whether a certificate is to be ordered now."""
    wait = (state.next_attempt_at or 0) - now
    # Longer than any wait of ours: the clock was ahead when it was written.
    if 0 < wait <= (WAITS_SECONDS[-1] + 1) * SECOND:
        return False
    if certificate is None:
        return True
    return now >= (certificate.renew_at if certificate.by_acme else certificate.not_after_at)


def last_turn(state: TrackingCertificate, now: Instant) -> tuple[Instant, str]:
    """Return what names that are due are ordered by: the last attempt, then the name.

    An attempt in the future is of a clock that was ahead, and counts as none.
    """
    attempted_at = state.attempted_at or 0
    return attempted_at if attempted_at <= now else 0, state.name


def after_success_at(obtained: Certificate, now: Instant) -> Instant:
    """Return when the name may be ordered again: when it is due, or a day later if it is lost.

    One that seems to be due at once does so because a clock is wrong, and must not be ordered in a
    circle.
    """
    in_a_day = now + _AFTER_SUCCESS_SECONDS * SECOND
    return min(in_a_day, obtained.renew_at) if obtained.renew_at > now else in_a_day


@dataclass
class Survey:
    """What one look at the files has found.

    `due` is the one that is to be ordered first, `newly_served` are names that https was not served
    for before.
    """

    seen: list[TrackingCertificate] = field(default_factory=list)
    newly_served: list[str] = field(default_factory=list)
    due: TrackingCertificate | None = None


class Renewals:
    """The certificates of all names; without `acme` they are looked at and none is ordered.

    One is ordered only for names that `may_order` lets pass; `on_served` is told of each name for
    which https has become possible.
    `certificates` counts them by status at the last look; `next_expiry_at` is the first one's.
    """

    def __init__(
        self,
        shelf: CertificateShelf,
        bookkeeper: Bookkeeper,
        reactor: Any,
        names: Names,
        serves: Callable[[str], bool],
        acme: Obtains | None,
        now: Callable[[], Instant],
        monotonic: Callable[[], float],
        *,
        may_order: Callable[[str], bool] = lambda _name: True,
        on_served: Callable[[str], object] = lambda _name: None,
    ) -> None:
        self._shelf = shelf
        self._may_order = may_order
        self._on_served = on_served
        self._bookkeeper = bookkeeper
        self._reactor = reactor
        self._names = names
        self._serves = serves
        self._acme = acme
        self._now = now
        self._monotonic = monotonic
        self.certificates: Counter[str] = Counter()
        self.next_expiry_at: Instant | None = None
        self._ordering = False
        self._pause_seconds = 0.0
        self._paused_until = 0.0
        self._limited: set[str] = set()

    async def tick(self) -> None:
        """Look at the files, and begin an order where one is due."""
        try:
            survey = await self._bookkeeper.run(self._survey)
        except StoreFault:
            return  # the judge says what is wrong with it
        self.certificates = Counter(each.status(self._now()).value for each in survey.seen)
        expiries = [each.not_after_at for each in survey.seen if each.not_after_at is not None]
        self.next_expiry_at = min(expiries, default=None)
        for name in survey.newly_served:
            self._on_served(name)
        if survey.due is not None and not self._ordering:
            self._ordering = True
            detach("acme", Deferred.fromCoroutine(self._order(survey.due)))

    def _survey(self, registry: Registry) -> Survey:
        """Write down what has changed; runs in the bookkeeper's thread."""
        names = frozenset(self._names(registry))
        known = {each.name: each for each in registry.certificates.many_certificates()}
        now = self._now()
        has_acme, paused = self._acme is not None, self._monotonic() < self._paused_until
        changed, due, survey = [], [], Survey()
        for name in sorted(names):
            before = known.get(name)
            seen, certificate = self._seen(before or TrackingCertificate(name))
            survey.seen.append(seen)
            if seen != before:
                changed.append(seen)
                _tell(before, seen)
                if seen.serves_https and not (before and before.serves_https):
                    survey.newly_served.append(name)
            turned_away = paused and not seen.is_asked_for
            may_order = has_acme and not turned_away and self._may_order(name)
            if may_order and is_due(certificate, seen, now):
                due.append(seen)
        survey.due = min(due, key=lambda each: last_turn(each, now), default=None)
        if changed:
            registry.certificates.record_seen(changed)
        if gone := known.keys() - names:
            registry.certificates.forget(gone)
        return survey

    def _seen(self, before: TrackingCertificate) -> tuple[TrackingCertificate, Certificate | None]:
        slot = self._shelf.find(before.name)
        certificate = slot.certificate if slot is not None else None
        seen = replace(
            before,
            serves_https=self._serves(before.name),
            not_before_at=None if certificate is None else certificate.not_before_at,
            not_after_at=None if certificate is None else certificate.not_after_at,
            by_acme=certificate is not None and certificate.by_acme,
            file_fault=slot.fault if slot is not None else "",
        )
        return seen, certificate

    async def _order(self, due: TrackingCertificate) -> None:
        """Order one certificate; what becomes of it is written down and told."""
        name = due.name
        next_at = self._now() + wait_seconds(due.failures + 1) * SECOND
        try:
            await self._bookkeeper.run(
                lambda registry: registry.certificates.record_attempt(name, self._now(), next_at)
            )
            found = await self._in_a_thread(name)
            if isinstance(found, Certificate):
                self._pause_seconds = 0.0
                self._limited.clear()
                next_at = after_success_at(found, self._now())
                await self._bookkeeper.run(
                    lambda registry: registry.certificates.record_obtained(name, next_at)
                )
                return
            fault = found
            next_at, failures = self._after(fault, due)
            log.error(
                line(name, f"no certificate: {fault}", code=fault.code, next_attempt=iso(next_at))
            )
            await self._bookkeeper.run(
                lambda registry: registry.certificates.record_failure(
                    name, fault.code, fault.message, failures, next_at
                )
            )
        except StoreFault as fault_of_store:
            log.error(line(name, "what became of its order is not recorded", reason=fault_of_store))
        finally:
            self._ordering = False

    def _after(self, fault: AcmeFault, due: TrackingCertificate) -> tuple[Instant, int]:
        """Return when the name may be ordered again and how many orders have failed in a row."""
        asked = min(fault.retry_after_seconds or 0.0, WAITS_SECONDS[-1])
        if fault.concerns_all:
            return self._now() + int(self._pause(asked)) * SECOND, due.failures
        if fault.code == RATE_LIMITED:
            self._limited.add(due.name)
            if len(self._limited) >= _LIMITED_NAMES:
                self._pause(0.0)
        failures = due.failures + 1
        return self._now() + int(max(wait_seconds(failures), asked)) * SECOND, failures

    def _pause(self, asked_seconds: float) -> float:
        """Order nothing for a while, longer each time; return for how long."""
        doubled = max(_FIRST_PAUSE_SECONDS, self._pause_seconds * 2)
        self._pause_seconds = min(doubled, _LONGEST_PAUSE_SECONDS)
        pause = max(self._pause_seconds, asked_seconds)
        self._paused_until = self._monotonic() + pause
        return pause

    def _in_a_thread(self, name: str) -> Deferred[AcmeFault | Certificate]:
        """Obtain a certificate and put it in its place; return it, or what went wrong.

        A thread that the end of the process does not wait for: a CA may take minutes.
        """
        done: Deferred[AcmeFault | Certificate] = Deferred()

        def run() -> None:
            self._reactor.callFromThread(done.callback, self._obtain(name))

        threading.Thread(target=run, name="acme", daemon=True).start()
        return done

    def _obtain(self, name: str) -> AcmeFault | Certificate:
        assert self._acme is not None
        path = self._shelf.path(name)
        try:
            with fresh_file(path) as place:
                content = self._acme.obtain(name)
                certificate = read_certificate(content, name)
                place(content)
        except AcmeFault as fault:
            return fault
        except BadCertificate as fault:
            return AcmeFault("acme_unusable", f"what the CA gave {fault}")
        except OSError as error:
            return AcmeFault(
                "certificate_not_written",
                f"{path}: cannot be written: {error.strerror}",
                concerns_all=True,
            )
        except Exception as error:
            log.exception(line(name, "internal error while a certificate was obtained"))
            return AcmeFault("internal_error", f"internal error: {error!r}")
        expires = iso(certificate.not_after_at)
        log.info(line(name, "certificate obtained", expires=expires, file=path))
        return certificate


def _tell(before: TrackingCertificate | None, seen: TrackingCertificate) -> None:
    """Log where https has become possible for a name, or impossible."""
    served = before is not None and before.serves_https
    if seen.serves_https and not served:
        log.info(line(seen.name, "https is served", expires=iso(seen.not_after_at or 0)))
    elif served and not seen.serves_https:
        log.error(
            line(
                seen.name,
                "https is not served any more; need a valid certificate",
                expires=maybe_iso(seen.not_after_at),
                reason=seen.file_fault or None,
            )
        )
