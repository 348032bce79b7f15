"""/v1/domains: sending domains with their tracking.

The same functions as the command's do the work.  Promises: a key that is limited to sending domains
sees and changes those alone, the others are 404 for it; a domain's `status` is `verified` from the
beginning, because sending is Postfix's business, and `tracking.status` is what is checked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from openclick.api_keys import ApiKey
from openclick.dns_records import DnsRecord, tracking_records
from openclick.domain_requests import (
    DomainChanges,
    DomainError,
    create_domain,
    find_domain,
    remove_domain,
    update_domain,
)
from openclick.domains import SendingDomain, TrackingStatus, VerificationFailure
from openclick.instants import Instant, iso, maybe_iso
from openclick.keys import KeyFault
from openclick.logs import line
from openclick.store import Registry
from openclick_sidecar.api.answers import NO_CONTENT, Answer, ok
from openclick_sidecar.api.faults import (
    ApiFault,
    conflict,
    forbidden,
    invalid_body,
    not_found,
    unavailable,
)
from openclick_sidecar.api.fields import Fields, Problems, read_object
from openclick_sidecar.api.paging import page_of
from openclick_sidecar.api.router import Call, Route
from openclick_sidecar.bookkeeper import Bookkeeper

log = logging.getLogger(__name__)

T = TypeVar("T")

CheckNow = Callable[[SendingDomain], Coroutine[Any, Any, SendingDomain | None]]
"""Checks a tracking domain, writes down what was found, and returns the domain as it is then.

Raises StoreFault, KeyFault.
"""

_MAX_NAME_CHARS = 1000
_MAX_SUBDOMAIN_CHARS = 253
_FIELD_OF_CODE = {
    "invalid_name": "name",
    "invalid_subdomain": "tracking.subdomain",
    "subdomain_required": "tracking.subdomain",
}
# Second-level labels below which countries register names.
_SECOND_LEVELS = frozenset(
    ("ac", "co", "com", "edu", "go", "gob", "gov", "ltd", "me", "ne", "net", "nom", "or", "org")
)


@dataclass(frozen=True)
class Domains:
    """The resource."""

    bookkeeper: Bookkeeper
    check_now: CheckNow
    public_hostname: str
    now: Callable[[], Instant]

    def routes(self) -> list[Route]:
        """Return its operations."""
        return [
            Route("GET", "/v1/domains", self.list),
            Route("POST", "/v1/domains", self.create),
            Route("GET", "/v1/domains/{id}", self.show),
            Route("PATCH", "/v1/domains/{id}", self.update),
            Route("DELETE", "/v1/domains/{id}", self.remove),
            Route("POST", "/v1/domains/{id}/verify", self.verify),
        ]

    async def list(self, call: Call) -> Answer:
        """Answer with a page of domains."""
        everything = await self.bookkeeper.run(lambda registry: registry.domains.many_domains())
        seen = [domain for domain in everything if call.key.allows(domain.name)]
        return page_of(seen, call.query, lambda d: (d.created_at, d.domain_id), self._shown)

    async def create(self, call: Call) -> Answer:
        """Add a domain, with tracking off."""
        if call.key.allowed_domains:
            raise forbidden("This API key is limited to sending domains: it cannot add one.")
        problems = Problems()
        fields = Fields(read_object(call.body), problems)
        name = fields.text("name", _MAX_NAME_CHARS, required=True)
        fields.end()
        problems.check()
        added = await self._run(
            lambda registry: create_domain(registry.domains, str(name), DomainChanges(), self.now())
        )
        return ok(self._shown(added), 201)

    async def show(self, call: Call) -> Answer:
        """Answer with one domain."""
        return ok(self._shown(await self._run(lambda registry: _own(registry, call))))

    async def update(self, call: Call) -> Answer:
        """Change what of the tracking is named in the body."""
        changes = _read_changes(call.body)

        def change(registry: Registry) -> SendingDomain:
            domain = _own(registry, call)
            return update_domain(registry.domains, domain.domain_id, changes, self.now())

        return ok(self._shown(await self._run(change)))

    async def remove(self, call: Call) -> Answer:
        """Remove a domain; links that were sent go on working."""
        await self._run(
            lambda registry: remove_domain(registry.domains, _own(registry, call).domain_id)
        )
        return NO_CONTENT

    async def verify(self, call: Call) -> Answer:
        """Check the tracking domain now, and answer with the domain, verified or not."""
        domain = await self._run(lambda registry: _own(registry, call))
        if not domain.tracking_domain:  # nothing to look for, so nothing that could be missing
            return ok(self._shown(domain))
        try:
            found = await self.check_now(domain)
        except KeyFault as fault:
            log.error(line(call.request_id, "the link keys cannot be read", reason=fault))
            raise unavailable("The link keys cannot be read now; nothing was checked.") from fault
        if found is None:
            raise not_found()
        return ok(self._shown(found))

    async def _run(self, work: Callable[[Registry], T]) -> T:
        try:
            return await self.bookkeeper.run(work)
        except DomainError as error:
            raise _fault(error) from error

    def _shown(self, domain: SendingDomain) -> dict[str, Any]:
        return {
            "id": domain.domain_id,
            "name": domain.name,
            "status": "verified",
            "dns_records": [],
            "verification_failure": None,
            "tracking": _tracking(domain, self.public_hostname),
            "created_at": iso(domain.created_at),
            "verified_at": iso(domain.created_at),
        }


def _own(registry: Registry, call: Call) -> SendingDomain:
    """Return the domain that a path names.  Raises DomainError: not there, or not for this key."""
    domain = find_domain(registry.domains, call.parts[0])
    # By its id alone, though the command takes names too.
    if domain.domain_id != call.parts[0] or not _may_see(call.key, domain):
        raise DomainError("domain_not_found", "not for this key")
    return domain


def _may_see(key: ApiKey, domain: SendingDomain) -> bool:
    return key.allows(domain.name)


def _read_changes(body: bytes) -> DomainChanges:
    problems = Problems()
    fields = Fields(read_object(body), problems)
    fields.raw("tracking", required=True)
    tracking = fields.object("tracking")
    fields.end()
    if tracking is None:
        problems.check()
        return DomainChanges()
    # Null takes the subdomain away; a flag that is null is left as it is, like one that is absent.
    takes_away = tracking.has("subdomain") and tracking.raw("subdomain") is None
    changes = DomainChanges(
        opens_enabled=tracking.boolean("opens_enabled"),
        clicks_enabled=tracking.boolean("clicks_enabled"),
        subdomain="" if takes_away else tracking.text("subdomain", _MAX_SUBDOMAIN_CHARS),
    )
    tracking.end()
    problems.check()
    return changes


def _fault(error: DomainError) -> ApiFault:
    if error.code == "domain_not_found":
        return not_found()
    if error.code == "domain_exists":
        return conflict(str(error))
    return invalid_body({_FIELD_OF_CODE.get(error.code, "name"): [str(error)]})


def _tracking(domain: SendingDomain, public_hostname: str) -> dict[str, Any]:
    status = domain.tracking_status
    off = status is TrackingStatus.DISABLED
    records = [] if off else tracking_records(domain, public_hostname)
    return {
        "opens_enabled": domain.opens_enabled,
        "clicks_enabled": domain.clicks_enabled,
        "subdomain": domain.subdomain or None,
        "dns_records": [_record(record, domain) for record in records],
        "status": status.value,
        "verification_failure": _failure(domain.failure),
        "verified_at": maybe_iso(domain.verified_at),
    }


def _record(record: DnsRecord, domain: SendingDomain) -> dict[str, str]:
    name = record.name.removesuffix(f".{apex(domain.name)}")
    return {"type": record.record_type, "name": name, "value": record.value, "purpose": "tracking"}


def _failure(failure: VerificationFailure | None) -> dict[str, str] | None:
    return None if failure is None else {"code": failure.code, "message": failure.message}


def apex(name: str) -> str:
    """Return the name that was registered, which provider UIs add by themselves.

    The last two labels, or three below one of the usual second levels of a country, such as co.uk:
    a public-suffix list would know more, and would be one more thing to keep up to date.
    """
    labels = name.split(".")
    below_country = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS
    return ".".join(labels[-3 if below_country else -2 :])
