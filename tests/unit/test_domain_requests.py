"""Sending domains as admins and apps ask for them: what is done, and what is refused and why."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from openclick.domain_requests import (
    DomainChanges,
    DomainError,
    create_domain,
    find_domain,
    remove_domain,
    update_domain,
)
from openclick.domains import NameState, Scheme, VerificationMode
from openclick.store import open_store
from openclick.store.domains import MOST_NEW_NAMES, DomainBook
from unit.samples import DOMAIN, NOW

BOTH = DomainChanges(opens_enabled=True, clicks_enabled=True, subdomain="track")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[DomainBook]:
    """Return an empty book of domains."""
    with closing(open_store(f"sqlite:{tmp_path}").registry()) as opened:
        yield opened.domains


def refused(request: Callable[[], object]) -> tuple[str, str]:
    """Return code and sentence of a refusal."""
    with pytest.raises(DomainError) as caught:
        request()
    return caught.value.code, str(caught.value)


def test_create(book: DomainBook) -> None:
    """Its name as A-labels in lower case, with what was asked for and nothing else."""
    domain = create_domain(book, "BÜCHER.example.", BOTH, NOW)

    assert domain == book.maybe_domain("xn--bcher-kva.example")
    assert domain.domain_id.startswith("domain_")
    assert (True, True, "track.xn--bcher-kva.example", NOW) == (
        domain.opens_enabled,
        domain.clicks_enabled,
        domain.tracking_domain,
        domain.created_at,
    )
    assert not domain.is_verified


def test_create_without_anything(book: DomainBook) -> None:
    """Legal: nothing is tracked, so no tracking domain is needed."""
    domain = create_domain(book, DOMAIN, DomainChanges(), NOW)

    assert (False, False, "") == (domain.opens_enabled, domain.clicks_enabled, domain.subdomain)


def test_create_twice(book: DomainBook) -> None:
    """Refused; what is there stays as it is."""
    first = create_domain(book, DOMAIN, BOTH, NOW)

    assert ("domain_exists", f"{DOMAIN} is there already") == refused(
        lambda: create_domain(book, DOMAIN, DomainChanges(), NOW)
    )
    assert [first] == book.many_domains()


@pytest.mark.parametrize("name", ["", "a b", "localhost", "127.0.0.1", "-a.example", "a..example"])
def test_no_domain_name(book: DomainBook, name: str) -> None:
    """Refused, with what is wrong."""
    assert refused(lambda: create_domain(book, name, BOTH, NOW))[0] == "invalid_name"


@pytest.mark.parametrize(
    "subdomain",
    ["a b", "track_", "_track", "a..b", DOMAIN, f"track.{DOMAIN}", "x" * 64, "a." * 130],
)
def test_no_subdomain(book: DomainBook, subdomain: str) -> None:
    """Refused: it must make a host name that a certificate can be issued for."""
    changes = replace(BOTH, subdomain=subdomain)

    assert refused(lambda: create_domain(book, DOMAIN, changes, NOW))[0] == "invalid_subdomain"
    assert book.many_domains() == []


@pytest.mark.parametrize("flag", ["opens_enabled", "clicks_enabled"])
def test_a_subdomain_is_required(book: DomainBook, flag: str) -> None:
    """While either default is on; when both are off it may be taken away."""
    domain = create_domain(
        book, DOMAIN, replace(DomainChanges(subdomain="go"), **{flag: True}), NOW
    )

    code, text = refused(lambda: update_domain(book, DOMAIN, DomainChanges(subdomain=""), NOW))
    off = DomainChanges(opens_enabled=False, clicks_enabled=False, subdomain="")
    after = update_domain(book, DOMAIN, off, NOW)

    assert "subdomain_required" == code
    assert text == f"{DOMAIN} has no tracking subdomain: need one while opens or clicks are on"
    assert "" == after.subdomain
    assert domain.domain_id == after.domain_id


def test_update_changes_only_what_is_named(book: DomainBook) -> None:
    """By name or by id."""
    domain = create_domain(book, DOMAIN, BOTH, NOW)
    book.record_verified(DOMAIN, NOW)

    by_id = update_domain(book, domain.domain_id, DomainChanges(opens_enabled=False), NOW)
    by_name = update_domain(
        book, DOMAIN, DomainChanges(scheme=Scheme.HTTPS, verification=VerificationMode.DNS), NOW
    )

    assert replace(domain, opens_enabled=False, verified_at=NOW, checked_at=NOW) == by_id
    assert replace(by_id, scheme=Scheme.HTTPS, verification=VerificationMode.DNS) == by_name


def test_another_subdomain(book: DomainBook) -> None:
    """Pending until it is verified; the old name is kept for the links that were sent."""
    create_domain(book, DOMAIN, BOTH, NOW)
    book.record_verified(DOMAIN, NOW, https=True)

    domain = update_domain(book, DOMAIN, DomainChanges(subdomain="go"), NOW)

    assert (False, False) == (domain.is_verified, domain.https)
    assert {"go.kontor.example": NameState.CURRENT, "track.kontor.example": NameState.FORMER} == {
        name.name: name.state for name in book.tracking_names()
    }


def test_remove(book: DomainBook) -> None:
    """Returns what it was; its name stays known."""
    domain = create_domain(book, DOMAIN, BOTH, NOW)

    assert domain == remove_domain(book, DOMAIN)

    assert book.many_domains() == []
    assert [NameState.REMOVED] == [name.state for name in book.tracking_names()]


@pytest.mark.parametrize("which", ["other.example", "domain_none", "no name at all"])
def test_not_there(book: DomainBook, which: str) -> None:
    """One code for whatever is asked of it."""
    expected = ("domain_not_found", f"{which} is not added")

    assert expected == refused(lambda: find_domain(book, which))
    assert expected == refused(lambda: update_domain(book, which, BOTH, NOW))
    assert expected == refused(lambda: remove_domain(book, which))


def test_too_many_subdomains(book: DomainBook) -> None:
    """Refused like any other that cannot be had: with what was found and what is needed."""
    create_domain(book, DOMAIN, BOTH, NOW)
    for number in range(1, MOST_NEW_NAMES):
        update_domain(book, DOMAIN, DomainChanges(subdomain=f"s{number}"), NOW)

    code, message = refused(
        lambda: update_domain(book, DOMAIN, DomainChanges(subdomain="next"), NOW)
    )

    assert "invalid_subdomain" == code
    assert message == (
        f"{DOMAIN} was given 20 tracking domains in the last 7 days, as many as there may be; "
        "need one that it had before, or patience"
    )
