"""What admins and apps ask of sending domains: create, find, update, remove.

Called by the HTTP API.  Each refusal is a DomainError with a stable code and a sentence.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from openclick.domains import SendingDomain
from openclick.instants import Instant
from openclick.names import BadName, domain_name
from openclick.store.domains import DomainBook, DomainView


class DomainError(Exception):
    """A request that is refused: `code` is stable, the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class DomainChanges:
    """What is asked for; None leaves a thing as it is, an empty `subdomain` takes it away."""

    opens_enabled: bool | None = None
    clicks_enabled: bool | None = None
    subdomain: str | None = None


def create_domain(
    book: DomainBook, name: str, changes: DomainChanges, created_at: Instant
) -> SendingDomain:
    """Add the sending domain `name`.

    Raises DomainError: invalid_name, invalid_subdomain, subdomain_required, domain_exists.
    """
    try:
        checked = domain_name(name)
    except BadName as error:
        raise DomainError("invalid_name", f"{name!r} is no domain name: {error}") from error
    if "." not in checked:
        raise DomainError("invalid_name", f"{checked} is no domain name: need one with a dot")
    blank = SendingDomain(f"domain_{uuid.uuid4()}", checked, False, False, "", created_at)
    domain = _changed(blank, changes)
    if not book.add(domain):
        raise DomainError("domain_exists", f"{domain.name} is there already")
    return domain


def find_domain(view: DomainView, domain_id: str) -> SendingDomain:
    """Return the domain with this id.  Raises DomainError: domain_not_found."""
    found = view.maybe_domain_by_id(domain_id)
    if found is None:
        raise DomainError("domain_not_found", f"{domain_id} is not added")
    return found


def update_domain(
    book: DomainBook, domain_id: str, changes: DomainChanges, updated_at: Instant
) -> SendingDomain:
    """Change what is asked for, and nothing else; with another subdomain it is pending again.

    Raises DomainError: domain_not_found, invalid_subdomain, subdomain_required.
    """
    domain = _changed(find_domain(book, domain_id), changes)
    if not book.update(domain, updated_at):
        raise DomainError("domain_not_found", f"{domain.name} was removed meanwhile")
    return find_domain(book, domain.domain_id)


def remove_domain(book: DomainBook, domain_id: str) -> SendingDomain:
    """Remove a domain and return what it was.  Raises DomainError: domain_not_found."""
    domain = find_domain(book, domain_id)
    book.remove(domain.domain_id)
    return domain


def _changed(domain: SendingDomain, changes: DomainChanges) -> SendingDomain:
    asked = {name: value for name, value in vars(changes).items() if value is not None}
    if changes.subdomain:
        asked["subdomain"] = _subdomain(changes.subdomain, domain.name)
    changed = replace(domain, **asked)
    if (changed.opens_enabled or changed.clicks_enabled) and not changed.subdomain:
        raise DomainError(
            "subdomain_required",
            f"{domain.name} has no tracking subdomain: need one while opens or clicks are on",
        )
    return changed


def _subdomain(text: str, name: str) -> str:
    try:
        prefix = domain_name(text)
        domain_name(f"{prefix}.{name}")
    except BadName as error:
        raise DomainError("invalid_subdomain", f"{text!r} is no subdomain: {error}") from error
    return prefix
