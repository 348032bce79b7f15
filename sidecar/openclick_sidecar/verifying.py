"""Checks tracking domains on a schedule.

A service of the sidecar: `tick` is called every TICK_SECONDS.  Checks run in a few threads of
their own, since a name server that is gone holds one for seconds; what they find is written by the
bookkeeper.  The names of removed domains and of former subdomains are looked up too, so that
whoever keeps certificates knows which still point here.

The schedule goes by a monotonic clock: one that is set checks nothing early or late.  A verified
domain is checked again after `verification.check_every_seconds`, more or less a tenth, so that a
thousand of them do not come together; one that is not, after 15 s, then twice as long each time,
up to that.

Promises: each domain has at most one check under way; a check that raises is logged, and the next
one comes as if it had failed; no more than CHECKS_AT_ONCE run at a time, the others wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from openclick.domain_checks import CheckResult, Patience, record_check
from openclick.domains import NameState, SendingDomain
from openclick.instants import Instant
from openclick.keys import KeyFault
from openclick.logs import line
from openclick.store import Registry, StoreFault
from openclick_sidecar.bookkeeper import Bookkeeper

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
CHECKS_AT_ONCE = 4
_LIST_SECONDS = 5.0
_FIRST_WAIT_SECONDS = 15.0
_MOST_DOUBLINGS = 16
_JITTER = 0.1


class Checks(Protocol):
    """What makes the checks; blocking."""

    @property
    def patience(self) -> Patience:
        """For how long checks may fail."""

    def check(self, domain: SendingDomain) -> CheckResult:
        """Check one domain."""

    def points_here(self, name: str) -> bool | None:
        """Tell whether a name points here; None where nobody could be asked."""


@dataclass
class _Entry:
    """One thing to check: when it is due by the monotonic clock, and its failures in a row."""

    due_at: float
    failures: int = 0
    running: bool = False


Subject = SendingDomain | str
"""A domain, or a former or removed name."""


class Verifying:
    """The service.

    `in_thread` runs a function in one of its threads; `monotonic` is a clock in seconds; `chance`
    returns numbers from 0 to 1.
    """

    def __init__(
        self,
        bookkeeper: Bookkeeper,
        checks: Checks,
        check_every_seconds: float,
        *,
        in_thread: Callable[..., Deferred[Any]],
        detach: Callable[[Deferred[None]], object],
        now: Callable[[], Instant],
        monotonic: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._bookkeeper = bookkeeper
        self._checks = checks
        self._every_seconds = check_every_seconds
        self._in_thread = in_thread
        self._detach = detach
        self._now = now
        self._monotonic = monotonic
        self._chance = chance
        self._subjects: dict[str, Subject] = {}
        self._entries: dict[str, _Entry] = {}
        self._list_at = float("-inf")
        self._urgent: set[str] = set()

    async def tick(self) -> None:
        """Read the list where that is due, and begin the checks that are."""
        if self._monotonic() >= self._list_at:
            self._list_at = self._monotonic() + _LIST_SECONDS
            try:
                self._take(await self._bookkeeper.run(_subjects))
            except StoreFault as fault:
                log.debug(line("domains", "not read now", reason=fault))
        free = CHECKS_AT_ONCE - sum(entry.running for entry in self._entries.values())
        for key in list(self._due())[: max(free, 0)]:
            self._entries[key].running = True
            self._detach(Deferred.fromCoroutine(self._run(key)))

    async def check_now(self, domain: SendingDomain) -> SendingDomain | None:
        """Check a domain out of turn, and return it as it stands then; None where it is gone.

        Raises StoreFault, KeyFault.
        """
        result = await self._in_thread(self._checks.check, domain)
        return await self._record(domain, result)

    def hurry(self, tracking_domain: str) -> None:
        """Have a domain checked with the next tick: its certificate is there, say.

        The list is read anew for it, since the domain may have been added a moment ago.
        """
        self._urgent.add(tracking_domain)
        self._list_at = float("-inf")

    def _take(self, subjects: dict[str, Subject]) -> None:
        """Take the list as it is now; what is new on it, or changed by the admin, is due."""
        now = self._monotonic()
        for key, subject in subjects.items():
            if key not in self._entries:
                self._entries[key] = _Entry(now + self._first_wait(subject))
        for key in set(self._entries) - set(subjects):
            if not self._entries[key].running:
                del self._entries[key]
        self._subjects = subjects
        urgent, self._urgent = self._urgent, set()
        for key, subject in subjects.items():
            if isinstance(subject, SendingDomain) and subject.tracking_domain in urgent:
                entry = self._entries[key]
                entry.due_at = now
                if entry.running:  # it has begun before, and its end will say when the next is due
                    self._urgent.add(subject.tracking_domain)

    def _first_wait(self, subject: Subject) -> float:
        """Return when to check what is new here: what was verified when last seen can wait."""
        if isinstance(subject, SendingDomain) and not subject.is_verified:
            return 0.0
        return self._chance() * min(self._every_seconds, 10 * _FIRST_WAIT_SECONDS)

    def _due(self) -> Iterator[str]:
        now = self._monotonic()
        waiting = (
            (entry.due_at, key)
            for key, entry in self._entries.items()
            if entry.due_at <= now and not entry.running and key in self._subjects
        )
        return (key for _, key in sorted(waiting))

    async def _run(self, key: str) -> None:
        entry, subject = self._entries[key], self._subjects[key]
        settled = False
        try:
            settled = await self._check(subject)
        except (StoreFault, KeyFault) as fault:
            log.warning(line("domains", "not checked now", name=key, reason=fault))
        finally:
            entry.running = False
            entry.failures = 0 if settled else entry.failures + 1
            entry.due_at = self._monotonic() + self._wait_seconds(entry.failures)

    async def _check(self, subject: Subject) -> bool:
        """Check, and return whether it can wait until its usual time."""
        if isinstance(subject, str):
            here = await self._in_thread(self._checks.points_here, subject)
            if here is not None:
                await self._bookkeeper.run(
                    lambda registry: registry.domains.record_names([(subject, here)], self._now())
                )
            return True
        known = await self.check_now(subject)
        return known is not None and known.is_verified and known.failure is None

    async def _record(self, domain: SendingDomain, result: CheckResult) -> SendingDomain | None:
        def write(registry: Registry) -> tuple[SendingDomain | None, SendingDomain | None]:
            book = registry.domains
            before = book.maybe_domain(domain.name)
            patience = self._checks.patience
            return before, record_check(book, domain, result, self._now(), patience)

        before, after = await self._bookkeeper.run(write)
        if before is not None and after is not None:
            tell(before, after)
        return after

    def _wait_seconds(self, failures: int) -> float:
        spread = 1 + _JITTER * (2 * self._chance() - 1)
        if not failures:
            return self._every_seconds * spread
        doubled = _FIRST_WAIT_SECONDS * 2.0 ** min(failures - 1, _MOST_DOUBLINGS)
        return min(doubled, self._every_seconds) * spread


def tell(before: SendingDomain, after: SendingDomain) -> None:
    """Log what a check has changed; what is as it was is not worth a line."""
    code = after.failure.code if after.failure else None
    name, reason = after.tracking_domain, after.failure.message if after.failure else None
    if after.is_verified and not before.is_verified:
        scheme = "https" if after.https else "http"
        log.info(line(after.name, "verified", tracking_domain=name, scheme=scheme))
    elif before.is_verified and not after.is_verified:
        text = "verified no more; its new mail is not tracked"
        log.error(line(after.name, text, tracking_domain=name, code=code, reason=reason))
    elif code != (before.failure.code if before.failure else None):
        _tell_code(after, code, reason)


def _tell_code(after: SendingDomain, code: str | None, reason: str | None) -> None:
    if code is None:
        log.info(line(after.name, "reached again", tracking_domain=after.tracking_domain))
        return
    text = "check failed; stays verified for now" if after.is_verified else "not verified"
    log.warning(
        line(after.name, text, tracking_domain=after.tracking_domain, code=code, reason=reason)
    )


def _subjects(registry: Registry) -> dict[str, Subject]:
    """Return what is to be checked: domains by what their check depends on, old names by name."""
    found: dict[str, Subject] = {
        f"{domain.domain_id} {domain.subdomain} {domain.scheme} {domain.verification}": domain
        for domain in registry.domains.many_domains()
        if domain.tracking_domain
    }
    found |= {
        name.name: name.name
        for name in registry.domains.tracking_names()
        if name.state is not NameState.CURRENT
    }
    return found
