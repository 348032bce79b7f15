"""Certificates kept fresh: what is due, what is written down, what waits after a failure."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace as replace_fields
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from openclick.instants import SECOND, Instant, now
from openclick.store import Store, open_store
from openclick.tracking_certificates import CertificateStatus, TrackingCertificate
from openclick_sidecar.acme_client import AcmeFault
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.certificate_shelf import CertificateShelf
from openclick_sidecar.certificates import bundle, read_certificate
from openclick_sidecar.renewals import (
    WAITS_SECONDS,
    Renewals,
    after_success_at,
    is_due,
    wait_seconds,
)
from support.authority import Authority, replace

NAME, OTHER = "track.kontor.example", "links.andere.example"
DAY = 86_400 * SECOND
DOWN = AcmeFault("acme_unreachable", "https://ca.example/dir: refused", concerns_all=True)
REFUSED = AcmeFault("acme_validation_failed", "the CA could not see that the name is ours")
LIMITED = AcmeFault("acme_rate_limited", "the CA says: too many certificates for kontor.example")


@pytest.fixture(scope="module")
def ca() -> Authority:
    """Give a CA."""
    return Authority()


class Orders:
    """A CA that gives what it is told to: certificates, or faults."""

    def __init__(self, ca: Authority) -> None:
        self._ca = ca
        self.faults: list[AcmeFault | None] = []
        self.content: bytes | None = None
        self.asked: list[str] = []
        self.refused_for: dict[str, AcmeFault] = {}
        self.on_ask: Callable[[], object] = lambda: None

    def obtain(self, name: str) -> bytes:
        """Give a certificate, or the next fault."""
        self.asked.append(name)
        self.on_ask()
        fault = self.faults.pop(0) if self.faults else self.refused_for.get(name)
        if fault is not None:
            raise fault
        issued = self._ca.issue(name)
        return bundle(issued.chain, issued.key) if self.content is None else self.content


class World:
    """The renewals of some names on a real store and a real directory; clocks that a test moves."""

    def __init__(self, directory: Path, ca: Authority) -> None:
        self.directory = directory / "certificates"
        self.directory.mkdir()
        self.ca = ca
        self.names = [NAME]
        self.orders = Orders(ca)
        self.store: Store = open_store(f"sqlite:{directory}")
        self.bookkeeper = Bookkeeper(self.store, reactor)
        self.off: Instant = 0
        self.seconds = 0.0
        self.speaks_tls = True
        self.forbidden: set[str] = set()
        self.served: list[str] = []
        self.renewals = self.fresh()

    def fresh(self, *, acme: bool = True) -> Renewals:
        """Return what a restarted sidecar has."""
        shelf = CertificateShelf(self.directory, self.now)
        return Renewals(
            shelf,
            self.bookkeeper,
            reactor,
            lambda _registry: self.names,
            lambda name: self.speaks_tls and shelf.serves(name),
            self.orders if acme else None,
            self.now,
            lambda: self.seconds,
            may_order=lambda name: name not in self.forbidden,
            on_served=self.served.append,
        )

    def now(self) -> Instant:
        """Return the wall clock."""
        return now() + self.off

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.seconds += seconds
        self.off += int(seconds * SECOND)

    async def tick(self) -> None:
        """Look once, and see an order that was begun to its end."""
        await self.renewals.tick()
        for _ in itertools.count():
            if not self.renewals._ordering:
                return
            await deferLater(reactor, 0, lambda: None)

    async def known(self, name: str = NAME) -> TrackingCertificate:
        """Return what is written down."""
        found = await self.bookkeeper.run(lambda r: r.certificates.many_certificates())
        return next(each for each in found if each.name == name)

    def file(self, name: str = NAME) -> Path:
        """Return the file of a name."""
        return self.directory / f"{name}.pem"


@pytest.fixture
def world(tmp_path: Path, ca: Authority) -> Iterator[World]:
    """Give one name without a certificate."""
    made = World(tmp_path, ca)
    made.bookkeeper.start()
    yield made
    made.bookkeeper.stop()


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


STATE = TrackingCertificate(NAME)


def _aged(ca: Authority, days: float, *, by_acme: bool = True) -> object:
    issued = ca.issue(NAME, days=90, starts_in_days=-days)
    content = bundle(issued.chain, issued.key) if by_acme else issued.bundle
    return read_certificate(content, NAME)


@pytest.mark.parametrize(
    ("days", "by_acme", "due"),
    [
        (59, True, False),
        (61, True, True),
        (91, True, True),
        (61, False, False),
        (89, False, False),
        (91, False, True),
    ],
)
def test_what_is_due(ca: Authority, days: float, by_acme: bool, due: bool) -> None:
    """Ours at two thirds of its life, another's once it has expired."""
    certificate = _aged(ca, days, by_acme=by_acme)

    assert due == is_due(certificate, STATE, now())


def test_a_wait_from_a_clock_that_was_ahead(ca: Authority) -> None:
    """A next attempt in 400 days is none that we have set: the clock has come back."""
    instant = now()
    waiting = TrackingCertificate(NAME, next_attempt_at=instant + 86_400 * SECOND)
    wrong = TrackingCertificate(NAME, next_attempt_at=instant + 400 * DAY)

    assert (False, True) == (is_due(None, waiting, instant), is_due(None, wrong, instant))


@pytest.mark.parametrize("off", [400 * DAY, -400 * DAY])
def test_a_clock_that_is_wrong_orders_nothing_in_a_circle(ca: Authority, off: Instant) -> None:
    """A fresh certificate that seems to be due is ordered again a day later at the earliest."""
    fresh = _aged(ca, 0)

    again_at = after_success_at(fresh, now() + off)

    assert abs(again_at - (now() + off + DAY)) < 10 * SECOND


def test_short_lives_are_renewed_in_time(ca: Authority) -> None:
    """Some CAs give a day: no wait is longer than two thirds of it."""
    issued = ca.issue(NAME, days=1, starts_in_days=0)
    certificate = read_certificate(bundle(issued.chain, issued.key), NAME)

    assert certificate.renew_at == after_success_at(certificate, now())


def test_waits() -> None:
    """A day at most."""
    assert [300, 300, 900, 86_400] == [wait_seconds(count) for count in (0, 1, 2, 100)]
