"""The schedule of checks: who is checked when, and what is written and logged."""

import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred, succeed

from openclick.domain_checks import CheckResult, Patience
from openclick.domains import SendingDomain, VerificationFailure
from openclick.instants import SECOND
from openclick.store import Registry, open_store
from openclick_sidecar.verifying import CHECKS_AT_ONCE, Verifying
from support.clock import Clock
from unit.samples import DOMAIN, NOW, TRACKING_DOMAIN, a_domain

GOOD = CheckResult(https=True, points_here=True)
BAD = CheckResult(VerificationFailure("points_elsewhere", "points to x"), points_here=False)
HOUR = 3600.0


@dataclass
class World:
    """The service over a real registry, with checks whose results and ends a test decides."""

    registry: Registry
    clock: Clock = field(default_factory=Clock)
    result: CheckResult = GOOD
    here: bool | None = True
    checked: list[str] = field(default_factory=list)
    slow: bool = False
    held: list[tuple[Deferred[Any], Callable[[], Any]]] = field(default_factory=list)
    wall_days: int = 0
    patience: Patience = field(default_factory=lambda: Patience(72 * HOUR, 2 * HOUR))

    def __post_init__(self) -> None:
        self.service = Verifying(
            self,  # type: ignore[arg-type]  # its `run` is the bookkeeper's
            self,
            HOUR,
            in_thread=self.in_thread,
            detach=lambda check: check,
            now=self.now,
            monotonic=self.clock.monotonic,
            chance=lambda: 0.5,
        )

    def now(self) -> int:
        seconds = self.clock.monotonic() + self.wall_days * 24 * HOUR
        return NOW + int(seconds) * SECOND

    def run(self, work: Callable[[Registry], Any]) -> Deferred[Any]:
        return succeed(work(self.registry))

    def in_thread(self, work: Callable[..., Any], *args: Any) -> Deferred[Any]:
        if not self.slow:
            return succeed(work(*args))
        done: Deferred[Any] = Deferred()
        self.held.append((done, lambda: work(*args)))
        return done

    def check(self, domain: SendingDomain) -> CheckResult:
        self.checked.append(domain.tracking_domain)
        return self.result

    def points_here(self, name: str) -> bool | None:
        self.checked.append(name)
        return self.here

    def domain(self) -> SendingDomain:
        found = self.registry.domains.maybe_domain(DOMAIN)
        assert found is not None
        return found

    async def pass_time(self, seconds: float, step: float = 1.0) -> list[str]:
        """Let time pass, a tick each step; return what was checked meanwhile."""
        self.checked.clear()
        for _ in range(int(seconds / step)):
            self.clock.advance(step)
            await self.service.tick()
        return list(self.checked)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return a world with one domain that is not verified."""
    with closing(open_store(f"sqlite:{tmp_path}").registry()) as registry:
        registry.domains.add(a_domain(verified_at=None))
        yield World(registry)


@ensureDeferred
async def test_a_new_domain_is_checked_at_once(world: World) -> None:
    """And what was found is written down."""
    await world.service.tick()

    assert [TRACKING_DOMAIN] == world.checked
    assert (True, True) == (world.domain().is_verified, world.domain().https)


@ensureDeferred
async def test_a_verified_domain_is_checked_once_an_hour(world: World) -> None:
    """Neither more often nor never again."""
    await world.service.tick()

    checks = await world.pass_time(10 * HOUR, step=10.0)

    assert len(checks) == 10


@ensureDeferred
async def test_a_certificate_has_come(world: World) -> None:
    """Its domain is checked at once, and no other."""
    world.result = BAD
    await world.pass_time(2 * HOUR, step=10.0)
    world.checked.clear()

    world.service.hurry("track.of.nobody.example")
    await world.service.tick()
    others = list(world.checked)
    world.service.hurry(TRACKING_DOMAIN)
    await world.service.tick()

    assert ([], [TRACKING_DOMAIN]) == (others, world.checked)


@ensureDeferred
async def test_a_certificate_comes_while_its_domain_is_checked(world: World) -> None:
    """What that check has seen is of before: another one follows, and once."""
    world.result, world.slow = BAD, True
    await world.service.tick()
    world.service.hurry(TRACKING_DOMAIN)
    await world.service.tick()
    world.slow = False
    done, work = world.held.pop()
    done.callback(work())

    checks = await world.pass_time(10)

    assert [TRACKING_DOMAIN] == checks


@ensureDeferred
async def test_a_pending_domain_is_checked_sooner(world: World) -> None:
    """After 15 s, then twice as long each time, up to an hour."""
    world.result = BAD
    at: list[float] = []
    start = world.clock.monotonic()
    for _ in range(3 * 3600):
        before = len(world.checked)
        await world.service.tick()
        at += [world.clock.monotonic() - start] * (len(world.checked) - before)
        world.clock.advance(1.0)

    waits = [after - before for before, after in itertools.pairwise(at)]

    assert [15, 30, 60, 120, 240, 480, 960, 1920, 3600] == waits


@ensureDeferred
async def test_jitter(world: World) -> None:
    """A thousand domains that were verified together do not come together again."""
    waits = set()
    for chance in (0.0, 0.5, 1.0):
        world.service._chance = lambda chance=chance: chance
        waits.add(world.service._wait_seconds(0))

    assert {0.9 * HOUR, HOUR, 1.1 * HOUR} == waits


@ensureDeferred
async def test_start_of_a_sidecar(world: World) -> None:
    """What is verified is not checked all at once, but soon."""
    world.registry.domains.record_verified(DOMAIN, NOW)

    await world.service.tick()
    at_once = list(world.checked)
    soon = await world.pass_time(150)

    assert ([], [TRACKING_DOMAIN]) == (at_once, soon)


@ensureDeferred
async def test_added_or_changed_while_it_runs(world: World) -> None:
    """Checked within seconds; what was removed is looked up as a name, and no more checked."""
    await world.service.tick()
    world.registry.domains.update(a_domain(subdomain="go"), NOW)

    changed = await world.pass_time(10)
    world.registry.domains.remove("domain_1")
    removed = await world.pass_time(3 * HOUR, step=10.0)

    assert "go.kontor.example" == changed[0]
    assert {"go.kontor.example", TRACKING_DOMAIN} == set(removed)
    assert all(name.points_here for name in world.registry.domains.tracking_names())


@ensureDeferred
async def test_old_names(world: World) -> None:
    """DNS alone is asked; where it could not be, what was known of them stays."""
    world.registry.domains.remove("domain_1")
    found = []
    for here in (True, None, False):
        world.here = here
        await world.pass_time(2 * HOUR, step=10.0)
        (name,) = world.registry.domains.tracking_names()
        found.append(name.points_here)

    assert [True, True, False] == found


@ensureDeferred
async def test_slow_name_servers(world: World) -> None:
    """A few checks at a time, each domain once; the others wait, and nothing else does."""
    for number in range(9):
        world.registry.domains.add(
            a_domain(domain_id=f"x{number}", name=f"x{number}.example", verified_at=None)
        )
    world.slow = True

    await world.pass_time(60)
    waiting = len(world.held)
    while world.held:
        done, work = world.held.pop(0)
        done.callback(work())
        await world.service.tick()

    assert CHECKS_AT_ONCE == waiting
    assert sorted({*world.checked}) == sorted(world.checked)
    assert len(world.checked) == 10


@ensureDeferred
async def test_a_check_that_raises(world: World) -> None:
    """A mistake of ours reaches the log's door; the next check comes all the same."""
    faults: list[Any] = []
    world.service._detach = lambda check: check.addErrback(faults.append)
    world.service._checks = Broken(world.patience)

    await world.pass_time(60)
    world.service._checks = world
    later = await world.pass_time(60)

    assert {"boom"} == {str(fault.value) for fault in faults}
    assert [TRACKING_DOMAIN] == later


@dataclass
class Broken:
    """Checks that raise."""

    patience: Patience

    def check(self, domain: SendingDomain) -> CheckResult:
        raise RuntimeError("boom")

    def points_here(self, name: str) -> bool | None:
        raise RuntimeError("boom")


@ensureDeferred
@pytest.mark.parametrize("days", [400, -400])
async def test_clock_is_set(world: World, days: int) -> None:
    """By 400 days: the schedule goes on as before, and one failure then ends nothing."""
    await world.service.tick()
    world.wall_days = days
    world.result = BAD

    checks = await world.pass_time(2 * HOUR, step=10.0)

    assert checks
    assert world.domain().is_verified
    assert world.domain().failing_seconds <= 2 * HOUR


@ensureDeferred
async def test_what_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Each change once, with its code; what is as it was is not worth a line."""
    caplog.set_level(logging.INFO, "openclick_sidecar")
    for result, hours in ((GOOD, 3), (BAD, 3), (GOOD, 3), (BAD, 100), (GOOD, 3)):
        world.result = result
        await world.pass_time(hours * HOUR, step=30.0)

    told = [
        (record.levelname, record.getMessage().split(" tracking_domain=")[0])
        for record in caplog.records
    ]
    assert told == [
        ("INFO", "kontor.example: verified"),
        ("WARNING", "kontor.example: check failed; stays verified for now"),
        ("INFO", "kontor.example: reached again"),
        ("WARNING", "kontor.example: check failed; stays verified for now"),
        ("ERROR", "kontor.example: verified no more; its new mail is not tracked"),
        ("INFO", "kontor.example: verified"),
    ]
    assert 'code=points_elsewhere reason="points to x"' in caplog.text


@ensureDeferred
async def test_check_out_of_turn(world: World) -> None:
    """Somebody waits for it: the domain as it stands then; None where it is gone."""
    domain = world.domain()

    after = await world.service.check_now(domain)
    world.registry.domains.remove(domain.domain_id)

    assert after is not None
    assert after.is_verified
    assert await world.service.check_now(domain) is None
