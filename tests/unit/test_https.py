"""What https needs, put together: what is served, what proxies may order, what settings lack."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from openclick.settings import Config
from openclick.store import open_store
from openclick.tls_settings import AcmeSettings, TlsSettings
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.counters import HitCounters
from openclick_sidecar.https import Https
from support.authority import Authority
from unit.samples import DOMAIN, NOW, TRACKING_DOMAIN, a_domain

OTHER = "leise.example"


@pytest.fixture
def bookkeeper(tmp_path: Path) -> Iterator[Bookkeeper]:
    """Give the thread that works on a store."""
    running = Bookkeeper(open_store(f"sqlite:{tmp_path}"), reactor)
    running.start()
    yield running
    running.stop()


def https(directory: Path, **sections: object) -> Https:
    """Return the parts on a store's directory, with a TLS listener."""
    config = Config(**sections)  # type: ignore[arg-type]
    made = Https(config, open_store(f"sqlite:{directory}"), HitCounters())
    made.speaks_tls = True
    return made


def test_serves_at_any_moment(tmp_path: Path, ca: Authority) -> None:
    """With a valid certificate and a listener, and only then."""
    parts = https(tmp_path)
    (tmp_path / "certificates").mkdir()
    seen = [parts.serves(TRACKING_DOMAIN)]
    ca.put(tmp_path / "certificates", TRACKING_DOMAIN)
    seen.append(parts.serves(TRACKING_DOMAIN))
    parts.speaks_tls = False
    seen.append(parts.serves(TRACKING_DOMAIN))

    assert [False, True, False] == seen
    assert not parts.serves("")


def test_the_directory_is_a_setting(tmp_path: Path, ca: Authority) -> None:
    """Wherever certificates are kept already."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    parts = https(tmp_path, tls=TlsSettings(certificates_directory=str(elsewhere)))

    ca.put(elsewhere, TRACKING_DOMAIN)

    assert parts.serves(TRACKING_DOMAIN)


@pytest_twisted.ensureDeferred
async def test_what_a_proxy_may_order(tmp_path: Path, bookkeeper: Bookkeeper) -> None:
    """Tracking domains that point here, in any spelling; nothing before the first look."""
    parts = https(tmp_path)
    await bookkeeper.run(lambda registry: registry.domains.add(a_domain()))
    await bookkeeper.run(lambda registry: registry.domains.add(a_domain(domain_id="2", name=OTHER)))
    await bookkeeper.run(
        lambda registry: registry.domains.record_names([(TRACKING_DOMAIN, True)], NOW)
    )
    names = (TRACKING_DOMAIN, TRACKING_DOMAIN.upper() + ".", f"track.{OTHER}", DOMAIN, "", "\x00")
    before = [parts.may_have_certificate(name) for name in names]

    await parts.renewals(bookkeeper, reactor).tick()

    assert [False] * 6 == before
    assert [True, True, False, False, False, False] == [
        parts.may_have_certificate(name) for name in names
    ]


@pytest.mark.parametrize("was_verified", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_former_name(tmp_path: Path, bookkeeper: Bookkeeper, *, was_verified: bool) -> None:
    """Has certificates as long as it leads here, where links can have been sent with it."""
    parts = https(tmp_path)
    await bookkeeper.run(lambda registry: registry.domains.add(a_domain()))
    if was_verified:
        await bookkeeper.run(lambda registry: registry.domains.record_verified(DOMAIN, NOW))
    await bookkeeper.run(
        lambda registry: registry.domains.update(a_domain(subdomain="go"), NOW + 1)
    )
    await bookkeeper.run(
        lambda registry: registry.domains.record_names([(TRACKING_DOMAIN, True)], NOW + 2)
    )

    await parts.renewals(bookkeeper, reactor).tick()

    known = await bookkeeper.run(lambda registry: registry.certificates.many_certificates())
    assert was_verified == (TRACKING_DOMAIN in [each.name for each in known])
    assert was_verified == parts.may_have_certificate(TRACKING_DOMAIN)


def test_acme_without_a_listener(tmp_path: Path) -> None:
    """What is obtained is to be served."""
    acme = AcmeSettings(directory_url="https://ca.example/dir")
    with_both, without = https(tmp_path, acme=acme), https(tmp_path, acme=acme)
    without.speaks_tls = False

    assert "" == with_both.fault_of_settings()
    assert "sidecar.tls_listen" in without.fault_of_settings()
    assert "" == https(tmp_path).fault_of_settings()
