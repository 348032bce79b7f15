"""The files that are there are looked at, whoever put them there, and the milter learns of them."""

import itertools

import pytest_twisted

from support.authority import replace
from unit.renewals.renewals_world import NAME, OTHER, World


@pytest_twisted.ensureDeferred
async def test_without_acme_files_are_looked_at_all_the_same(world: World) -> None:
    """What is there, what is wrong with it, and nothing is ordered."""
    world.renewals = world.fresh(acme=False)
    world.names = [NAME, OTHER, "a.b.example"]
    world.ca.put(world.directory, NAME)
    replace(world.file(OTHER), b"half")

    await world.tick()

    assert [] == world.orders.asked
    found = [await world.known(name) for name in world.names]
    assert [True, False, False] == [each.serves_https for each in found]
    assert ["served", "faulty", "missing"] == [each.status(world.now()) for each in found]
    assert "no whole certificate" in found[1].file_fault
    assert {"served": 1, "faulty": 1, "missing": 1} == world.renewals.certificates
    assert found[0].not_after_at == world.renewals.next_expiry_at
    assert not found[0].by_acme


@pytest_twisted.ensureDeferred
async def test_without_a_tls_listener_nothing_is_served(world: World) -> None:
    """However good the certificate."""
    world.speaks_tls = False
    world.ca.put(world.directory, NAME)

    await world.tick()

    assert not (await world.known()).serves_https


@pytest_twisted.ensureDeferred
async def test_the_milter_learns_of_it(world: World) -> None:
    """The generation grows when https becomes possible or impossible, and only then."""
    world.renewals = world.fresh(acme=False)
    await world.tick()
    generations = [await world.bookkeeper.run(lambda r: r.domains.generation())]
    steps = [
        lambda: world.ca.put(world.directory, NAME),
        lambda: None,
        lambda: world.ca.put(world.directory, NAME),
        lambda: world.wait(90 * 86_400),
    ]
    for step in steps:
        step()
        await world.tick()
        generations.append(await world.bookkeeper.run(lambda r: r.domains.generation()))

    assert [1, 0, 0, 1] == [b - a for a, b in itertools.pairwise(generations)]
    assert not (await world.known()).serves_https


@pytest_twisted.ensureDeferred
async def test_a_name_that_is_no_tracking_domain_any_more(world: World) -> None:
    """Is forgotten; its file stays."""
    await world.tick()
    await world.tick()

    world.names = []
    await world.tick()

    assert [] == await world.bookkeeper.run(lambda r: r.certificates.many_certificates())
    assert world.file().exists()
