"""Domains in openclick.db: what the command writes and the milter reads."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from openclick.domains import VerificationFailure
from openclick.store import Registry, RegistryReader, Store, open_store
from unit.samples import DOMAIN, NOW, a_domain

NEW = a_domain(verified_at=None)
FAILURE = VerificationFailure("no_record", "track.kontor.example has no CNAME and no address")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty store."""
    return open_store(f"sqlite:{tmp_path}")


@pytest.fixture
def registry(store: Store) -> Iterator[Registry]:
    """Return the writing side."""
    with closing(store.registry()) as opened:
        yield opened


@pytest.fixture
def reader(registry: Registry, store: Store) -> Iterator[RegistryReader]:
    """Return the milter's side of the same file."""
    with closing(store.registry_reader()) as opened:
        yield opened


def test_an_added_domain_is_not_verified(registry: Registry, reader: RegistryReader) -> None:
    """Whatever it was made with: verification is what a check writes down."""
    assert registry.domains.add(a_domain())

    assert NEW == reader.domains.maybe_domain(DOMAIN)


def test_a_domain_is_added_once(registry: Registry) -> None:
    """The second attempt changes nothing, the generation included."""
    registry.domains.add(NEW)
    generation = registry.domains.generation()

    assert not registry.domains.add(a_domain(domain_id="other", subdomain="other"))

    assert [NEW] == registry.domains.many_domains()
    assert generation == registry.domains.generation()


def test_unknown_domain(reader: RegistryReader) -> None:
    """None for a name that was never added; no inheritance from the parent."""
    assert reader.domains.maybe_domain("sub.kontor.example") is None


def test_domains_are_listed_by_name(registry: Registry, reader: RegistryReader) -> None:
    """Whatever order they came in."""
    for name in ("c.example", "a.example", "b.example"):
        registry.domains.add(a_domain(domain_id=name, name=name))

    assert ["a.example", "b.example", "c.example"] == [
        domain.name for domain in reader.domains.many_domains()
    ]


def test_success_verifies_and_forgets_the_failure(registry: Registry) -> None:
    """The last check is what is shown."""
    registry.domains.add(NEW)
    registry.domains.record_failure(DOMAIN, NOW + 1, FAILURE, keep_state=False)

    registry.domains.record_verified(DOMAIN, NOW + 2)

    assert a_domain(verified_at=NOW + 2, checked_at=NOW + 2) == registry.domains.maybe_domain(
        DOMAIN
    )


def test_failure_ends_verification(registry: Registry) -> None:
    """A name that points elsewhere is tracked no more."""
    registry.domains.add(NEW)
    registry.domains.record_verified(DOMAIN, NOW)

    registry.domains.record_failure(DOMAIN, NOW + 1, FAILURE, keep_state=False)

    assert a_domain(
        verified_at=None, checked_at=NOW + 1, failure=FAILURE
    ) == registry.domains.maybe_domain(DOMAIN)


def test_could_not_ask_keeps_the_state(registry: Registry) -> None:
    """A silent name server proves nothing; what happened is written down all the same."""
    registry.domains.add(NEW)
    registry.domains.record_verified(DOMAIN, NOW)

    registry.domains.record_failure(DOMAIN, NOW + 1, FAILURE, keep_state=True)

    assert a_domain(
        verified_at=NOW, checked_at=NOW + 1, failure=FAILURE
    ) == registry.domains.maybe_domain(DOMAIN)


def test_every_change_makes_the_generation_grow(registry: Registry, reader: RegistryReader) -> None:
    """The milter, which reads one number a message, sees each of them."""
    seen = [reader.domains.generation()]
    registry.domains.add(NEW)
    seen.append(reader.domains.generation())
    registry.domains.record_verified(DOMAIN, NOW)
    seen.append(reader.domains.generation())
    registry.domains.record_failure(DOMAIN, NOW, FAILURE, keep_state=True)
    seen.append(reader.domains.generation())

    assert sorted(set(seen)) == seen
