"""What admins and apps ask of sending domains: create, update, remove; and the rules they follow.

Called by `openclick domain` and by the HTTP API, so that both refuse the same things in the same
words.  Each refusal is a DomainError with a stable code and a sentence.

Promises: a domain that is stored has a tracking domain that DNS and certificates can bear, or none
while nothing is to be tracked.  Names of tracking domains that were verified are never forgotten:
links that were sent go on working as long as they point here.  A sending domain is given only so
many of them (see `store.domains`).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from openclick.domains import Scheme, SendingDomain, VerificationMode
from openclick.instants import Instant
from openclick.names import BadName, domain_name
from openclick.store.domains import DomainBook, DomainView, TooManyNames

DEFAULT_SUBDOMAIN = "track"

# RFC 1123, 2.1: what a certificate may be issued for; DNS itself would bear an underscore.
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*"
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"
)
_NUMBER = re.compile(r"[0-9]+\Z")


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
    scheme: Scheme | None = None
    verification: VerificationMode | None = None


def create_domain(
    book: DomainBook, name: str, changes: DomainChanges, created_at: Instant
) -> SendingDomain:
    """Add the sending domain `name`, both defaults off where `changes` do not say otherwise.

    Raises DomainError: invalid_name, invalid_subdomain, subdomain_required, domain_exists.
    """
    blank = SendingDomain(f"domain_{uuid.uuid4()}", _sending_name(name), False, False, "", 0)
    domain = _changed(replace(blank, created_at=created_at), changes)
    with _bounded():
        added = book.add(domain)
    if not added:
        raise DomainError("domain_exists", f"{domain.name} is there already")
    return domain


def find_domain(view: DomainView, name_or_id: str) -> SendingDomain:
    """Return the domain with this name or id.  Raises DomainError: domain_not_found."""
    found = view.maybe_domain_by_id(name_or_id)
    if found is None:
        try:
            found = view.maybe_domain(domain_name(name_or_id))
        except BadName:
            found = None
    if found is None:
        raise DomainError("domain_not_found", f"{name_or_id} is not added")
    return found


def update_domain(
    book: DomainBook, name_or_id: str, changes: DomainChanges, updated_at: Instant
) -> SendingDomain:
    """Change what is asked for, and nothing else.

    With another subdomain the domain is pending until that one is verified; links that were sent
    with the old one go on working as long as it points here.  Raises DomainError: domain_not_found,
    invalid_subdomain, subdomain_required.
    """
    domain = _changed(find_domain(book, name_or_id), changes)
    with _bounded():
        updated = book.update(domain, updated_at)
    if not updated:
        raise DomainError("domain_not_found", f"{domain.name} was removed meanwhile")
    return find_domain(book, domain.domain_id)


def remove_domain(book: DomainBook, name_or_id: str) -> SendingDomain:
    """Remove a domain and return what it was.  Raises DomainError: domain_not_found.

    Its mail is tracked no more; links that were sent go on working as long as they point here.
    """
    domain = find_domain(book, name_or_id)
    book.remove(domain.domain_id)
    return domain


@contextmanager
def _bounded() -> Iterator[None]:
    try:
        yield
    except TooManyNames as error:
        raise DomainError("invalid_subdomain", str(error)) from error


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


def _sending_name(text: str) -> str:
    try:
        name = domain_name(text)
    except BadName as error:
        raise DomainError("invalid_name", f"{text!r} is no domain name: {error}") from error
    if "." not in name or _NUMBER.match(name.rpartition(".")[2]):
        raise DomainError("invalid_name", f"{name} is no domain name: need one such as example.com")
    return name


def _subdomain(text: str, name: str) -> str:
    try:
        prefix = domain_name(text)
    except BadName as error:
        raise DomainError("invalid_subdomain", f"{text!r} is no subdomain: {error}") from error
    if prefix == name or prefix.endswith(f".{name}"):
        raise DomainError(
            "invalid_subdomain",
            f"{prefix}: the subdomain is what stands before {name}: need one such as track",
        )
    if not _HOST_NAME.match(f"{prefix}.{name}"):
        raise DomainError(
            "invalid_subdomain",
            f"{prefix}.{name} can be no host name: need letters, digits and hyphens, and at most "
            "63 characters between dots and 253 in all",
        )
    return prefix
