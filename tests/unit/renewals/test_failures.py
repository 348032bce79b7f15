"""An order that fails: what waits, for how long, whom it concerns, and what is written down."""

from dataclasses import replace as replace_fields

import pytest
import pytest_twisted

from openclick.instants import SECOND
from openclick_sidecar.renewals import WAITS_SECONDS
from unit.renewals.renewals_world import DOWN, LIMITED, NAME, OTHER, REFUSED, World


@pytest_twisted.ensureDeferred
async def test_each_failure_waits_longer(world: World) -> None:
    """The reason stands in the store; a success forgets it all."""
    world.orders.faults = [REFUSED] * 8
    waited = []
    for _ in range(8):
        await world.tick()
        known = await world.known()
        waited.append(round(((known.next_attempt_at or 0) - world.now()) / SECOND))
        assert ("acme_validation_failed", REFUSED.message) == (
            known.failure_code,
            known.failure_message,
        )
        world.wait(waited[-1] - 10)
        await world.tick()
        world.wait(20)

    await world.tick()
    await world.tick()
    known = await world.known()

    assert [*WAITS_SECONDS, 86_400, 86_400] == waited
    assert 9 == len(world.orders.asked)
    assert (True, 0, "") == (known.serves_https, known.failures, known.failure_code)


@pytest_twisted.ensureDeferred
async def test_a_name_that_fails_does_not_hold_others_up(world: World) -> None:
    """Its wait is its own."""
    world.names = [OTHER, NAME]
    world.orders.faults = [REFUSED]

    for _ in range(3):
        await world.tick()

    assert [OTHER, NAME] == world.orders.asked
    assert (await world.known()).serves_https


@pytest_twisted.ensureDeferred
async def test_a_ca_that_is_down_pauses_all(world: World) -> None:
    """Longer each time, an hour at most, and no name is blamed for it."""
    world.names = [NAME, OTHER]
    world.orders.faults = [DOWN] * 9
    pauses = []
    for _ in range(9):
        await world.tick()
        begin = world.seconds
        asked = len(world.orders.asked)
        while len(world.orders.asked) == asked and world.seconds - begin < 4000:
            world.wait(30)
            await world.tick()
        pauses.append(world.seconds - begin)

    assert [60, 120, 240, 480, 960, 1920, 3600, 3600] == pauses[:8]
    assert [0, 0] == [(await world.known(name)).failures for name in world.names]


@pytest_twisted.ensureDeferred
async def test_a_name_that_is_given_no_more_starves_no_other(world: World) -> None:
    """A limit on one name is its own failure, whatever place it has in the alphabet."""
    world.names = ["aaa.limited.example", NAME]
    world.orders.refused_for = {"aaa.limited.example": LIMITED}

    for _ in range(3):
        await world.tick()

    assert ["aaa.limited.example", NAME] == world.orders.asked
    assert (await world.known()).serves_https
    assert 1 == (await world.known("aaa.limited.example")).failures


@pytest.mark.parametrize(
    ("asked", "waits"), [(None, 300), (60.0, 300), (7200.0, 7200), (9e9, 86_400)]
)
@pytest_twisted.ensureDeferred
async def test_retry_after_is_heeded(world: World, asked: float | None, waits: int) -> None:
    """Over the name's own wait, and for a day at most: longer than that, a clock seems wrong."""
    world.orders.faults = [replace_fields(LIMITED, retry_after_seconds=asked)]

    await world.tick()

    known = await world.known()
    assert waits == round(((known.next_attempt_at or 0) - world.now()) / SECOND)


@pytest_twisted.ensureDeferred
async def test_a_ca_that_asks_for_a_longer_pause(world: World) -> None:
    """Gets it: whoever is busy says for how long."""
    world.orders.faults = [replace_fields(DOWN, retry_after_seconds=7200.0)]
    await world.tick()

    world.wait(7100)
    await world.tick()
    early = len(world.orders.asked)
    world.wait(200)
    await world.tick()

    assert (1, 2) == (early, len(world.orders.asked))


@pytest_twisted.ensureDeferred
async def test_an_admin_does_not_wait_for_a_pause(world: World) -> None:
    """What he has mended, `openclick certificate renew` shows at once; the other names wait on."""
    world.names = [NAME, OTHER]
    world.orders.faults = [DOWN] * 2
    await world.tick()
    await world.bookkeeper.run(lambda registry: registry.certificates.order_now(NAME))

    for _ in range(3):
        await world.tick()

    first, *rest = world.orders.asked
    assert [NAME] == rest
    assert first in (NAME, OTHER)


@pytest_twisted.ensureDeferred
async def test_three_names_that_are_limited_pause_all(world: World) -> None:
    """Then it is the account's limit; each name keeps its own wait, and a success ends it."""
    limited = [f"{letter}.limited.example" for letter in "abc"]
    world.names = [*limited, NAME]
    world.orders.refused_for = dict.fromkeys(limited, LIMITED)
    for _ in range(6):
        await world.tick()
    during = list(world.orders.asked)

    world.wait(61)
    await world.tick()

    assert limited == during
    assert [*limited, NAME] == world.orders.asked
    assert [1, 1, 1] == [(await world.known(name)).failures for name in limited]
    assert (set(), 0.0) == (world.renewals._limited, world.renewals._pause_seconds)


@pytest_twisted.ensureDeferred
async def test_a_directory_that_cannot_be_written(world: World) -> None:
    """The CA is not asked: a certificate that is lost counts against what it allows."""
    world.directory.rmdir()

    await world.tick()

    assert [] == world.orders.asked
    assert "certificate_not_written" == (await world.known()).failure_code


@pytest.mark.parametrize("content", [b"nonsense", b""])
@pytest_twisted.ensureDeferred
async def test_what_a_ca_gives_is_looked_at(world: World, content: bytes) -> None:
    """Nothing that cannot be served takes the place of what can."""
    world.orders.content = content

    await world.tick()

    known = await world.known()
    assert ("acme_unusable", 1) == (known.failure_code, known.failures)
    assert "no whole certificate" in known.failure_message
    assert [] == list(world.directory.iterdir())


@pytest_twisted.ensureDeferred
async def test_a_fault_of_our_own(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Ends the order, not the renewals."""
    world.orders.on_ask = lambda: 1 / 0

    await world.tick()

    assert "internal_error" == (await world.known()).failure_code
    assert "ZeroDivisionError" in caplog.text
