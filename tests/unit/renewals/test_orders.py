"""Certificates are ordered: for which name, in which order, at whose word."""

import pytest_twisted

from openclick.instants import SECOND
from openclick.store import Store
from openclick.tracking_certificates import CertificateStatus, TrackingCertificate
from openclick_sidecar.renewals import WAITS_SECONDS
from unit.renewals.renewals_world import DAY, DOWN, NAME, OTHER, REFUSED, World


@pytest_twisted.ensureDeferred
async def test_a_name_without_a_certificate_gets_one(world: World) -> None:
    """It is on disk, for its owner alone, written down, and not ordered again."""
    await world.tick()
    await world.tick()
    await world.tick()

    known = await world.known()
    assert [NAME] == world.orders.asked
    assert 0o600 == world.file().stat().st_mode & 0o777
    assert (True, True, 0, "") == (
        known.serves_https,
        known.by_acme,
        known.failures,
        known.failure_code,
    )
    assert CertificateStatus.SERVED == known.status(world.now())
    assert [world.file()] == list(world.directory.iterdir())


@pytest_twisted.ensureDeferred
async def test_a_name_that_leads_elsewhere_gets_none(world: World) -> None:
    """An authority would refuse it; as soon as it leads here it is ordered."""
    world.forbidden = {NAME}
    await world.tick()
    before = list(world.orders.asked)
    world.forbidden.clear()

    await world.tick()

    assert ([], [NAME]) == (before, world.orders.asked)


@pytest_twisted.ensureDeferred
async def test_whoever_waits_for_https_is_told(world: World) -> None:
    """Once, when it begins."""
    for _ in range(4):
        await world.tick()

    assert [NAME] == world.served


@pytest_twisted.ensureDeferred
async def test_one_order_at_a_time(world: World) -> None:
    """Each name in its turn."""
    world.names = [OTHER, NAME]

    for _ in range(4):
        await world.tick()

    assert [OTHER, NAME] == world.orders.asked


@pytest_twisted.ensureDeferred
async def test_whoever_has_waited_longest_is_ordered_next(world: World) -> None:
    """Not whoever comes first in the alphabet: a CA that is down long makes all names due."""
    world.names = [OTHER, NAME]
    world.orders.faults = [DOWN] * 4

    for _ in range(4):
        await world.tick()
        world.wait(3700)

    assert [OTHER, NAME, OTHER, NAME] == world.orders.asked


@pytest_twisted.ensureDeferred
async def test_an_attempt_in_the_future_is_none(world: World) -> None:
    """A clock that was ahead puts no name behind all others for months."""
    world.names = [OTHER, NAME]
    await world.renewals.tick()
    await world.tick()
    ahead = world.now() + 400 * DAY
    await world.bookkeeper.run(lambda r: r.certificates.record_attempt(OTHER, ahead, 0))
    await world.bookkeeper.run(lambda r: r.certificates.record_attempt(NAME, world.now(), 0))
    world.file(OTHER).unlink(missing_ok=True)
    world.renewals = world.fresh()
    world.orders.asked.clear()

    await world.tick()

    assert [OTHER] == world.orders.asked


@pytest_twisted.ensureDeferred
async def test_a_restart_forgets_no_wait(world: World) -> None:
    """So that a daemon that is started over and over does not use up what a CA allows."""
    world.orders.faults = [REFUSED] * 5
    await world.tick()
    for _ in range(5):
        world.renewals = world.fresh()
        await world.tick()

    assert [NAME] == world.orders.asked


@pytest_twisted.ensureDeferred
async def test_an_order_is_written_down_before_it_is_made(world: World) -> None:
    """A process that is killed while the CA works has had its attempt."""
    seen: list[list[TrackingCertificate]] = []
    begin = world.now()
    world.orders.on_ask = lambda: seen.append(_known_elsewhere(world.store))

    await world.tick()

    [[known]] = seen
    assert (known.attempted_at or 0) >= begin
    assert (known.next_attempt_at or 0) >= begin + WAITS_SECONDS[0] * SECOND


def _known_elsewhere(store: Store) -> list[TrackingCertificate]:
    registry = store.registry()
    try:
        return registry.certificates.many_certificates()
    finally:
        registry.close()


@pytest_twisted.ensureDeferred
async def test_ordered_now_at_the_admins_word(world: World) -> None:
    """`openclick certificate renew` ends the wait; an unknown name is told."""
    world.orders.faults = [REFUSED]
    await world.tick()

    done = await world.bookkeeper.run(lambda r: r.certificates.order_now(NAME))
    unknown = await world.bookkeeper.run(lambda r: r.certificates.order_now("x.example"))
    await world.tick()

    assert (True, False) == (done, unknown)
    assert [NAME, NAME] == world.orders.asked
