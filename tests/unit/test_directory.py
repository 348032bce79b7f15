"""The domains that a milter holds: never stale, never asked for twice."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from openclick.domains import SendingDomain, VerificationFailure
from openclick.store import Registry, Store, StoreFault, StoreTooNew
from openclick_milter.directory import DomainDirectory
from unit.samples import DOMAIN, NOW, a_domain


@pytest.fixture
def registry(store: Store) -> Iterator[Registry]:
    """Return the writing side, with one domain."""
    with closing(store.registry()) as opened:
        opened.domains.add(a_domain())
        yield opened


@pytest.fixture
def directory(store: Store) -> Iterator[DomainDirectory]:
    """Return the directory; what it opened is closed at the end."""
    made = DomainDirectory(store)
    yield made
    made._forget()


def found(directory: DomainDirectory, name: str = DOMAIN) -> SendingDomain:
    """Return a domain that is there."""
    domain = directory.lookup(name)
    assert domain is not None
    return domain


def test_lookup(registry: Registry, directory: DomainDirectory) -> None:
    """By the exact name."""
    assert a_domain(verified_at=None) == found(directory)
    assert directory.lookup("sub.kontor.example") is None
    assert directory.lookup("") is None


def test_a_change_is_seen_by_the_next_message(
    registry: Registry, directory: DomainDirectory
) -> None:
    """Verified, unverified, added: no restart, no waiting."""
    seen = [found(directory).is_verified]
    registry.domains.record_verified(DOMAIN, NOW)
    seen.append(found(directory).is_verified)
    registry.domains.record_failure(DOMAIN, NOW, VerificationFailure("a", "b"), keep_state=False)
    seen.append(found(directory).is_verified)
    registry.domains.add(a_domain(domain_id="2", name="other.example"))

    assert [False, True, False] == seen
    assert directory.lookup("other.example") is not None


def test_domains_are_held(registry: Registry, directory: DomainDirectory) -> None:
    """Without a change the same object comes back: nothing was read but one number."""
    assert found(directory) is found(directory)


def test_store_is_missing(store: Store, directory: DomainDirectory) -> None:
    """StoreFault, so that the mail goes out untouched; and once it is made it is used."""
    with pytest.raises(StoreFault, match="there is no such file"):
        directory.lookup(DOMAIN)
    with closing(store.registry()) as registry:
        registry.domains.add(a_domain())

    assert found(directory).name == DOMAIN


def test_a_back_up_is_put_back(
    registry: Registry, store: Store, directory: DomainDirectory
) -> None:
    """Its domains hold from the next message on, though the old file is still open."""
    found(directory)
    for path in store.directory.glob("openclick.db*"):
        path.rename(store.directory / f"old.{path.name}")
    with closing(store.registry()) as restored:
        restored.domains.add(a_domain(domain_id="2", name="other.example"))

    assert directory.lookup(DOMAIN) is None
    assert directory.lookup("other.example") is not None


def test_nothing_stale_is_used(
    registry: Registry, store: Store, directory: DomainDirectory
) -> None:
    """Where the store cannot be asked now, what was held before does not count."""
    found(directory)
    with registry._database.transaction() as connection:
        connection.execute("DROP TABLE meta")

    with pytest.raises(StoreFault, match="no such table"):
        directory.lookup(DOMAIN)
    with pytest.raises(StoreFault):
        directory.lookup(DOMAIN)


def test_store_of_a_later_version(
    registry: Registry, store: Store, directory: DomainDirectory
) -> None:
    """Refused: the mail passes."""
    with registry._database.transaction() as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(StoreTooNew):
        directory.lookup(DOMAIN)
