"""Whose turn it is where more is due than there are slots: nobody waits for ever."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from openclick.instants import SECOND
from openclick.store import Registry, open_store
from openclick.webhooks import Claim
from openclick_sidecar.slots import AttemptSlots
from unit.delivery_steps import delivered, failed
from unit.samples import NOW, a_webhook, log_events

ANSWER_SECONDS = 14
CLAIM = 20 * SECOND


class Turns:
    """A registry with webhooks, and attempts that all take as long as they may."""

    def __init__(self, registry: Registry, webhooks: int) -> None:
        self.registry = registry
        self.now = NOW
        self._numbers, self._batches = itertools.count(1), itertools.count(1)
        for number in range(webhooks):
            registry.webhooks.add(a_webhook(webhook_id=f"wh_{number:02}"))

    def log(self, batches: int) -> None:
        """Make events of so many batches for everybody."""
        first = next(self._numbers) * 10_000
        log_events(self.registry, range(first, first + 100 * batches))

    def claim(
        self, slots: AttemptSlots, ended: tuple[Claim, ...] = (), *, well: bool = True
    ) -> tuple[Claim, ...]:
        """Go round once."""
        later = self.now + 60 * SECOND
        ends = [delivered(c, self.now) if well else failed(c, later, self.now) for c in ended]
        return self.registry.deliveries.go_round(
            *(self.now, ends, slots, self.now + CLAIM, ()),
            lambda: f"{next(self._batches):032x}",
        ).claims


@pytest.fixture
def turns(tmp_path: Path) -> Iterator[Callable[[int], Turns]]:
    """Return a maker of registries with so many webhooks."""
    with closing(open_store(f"sqlite:{tmp_path}").registry(owner=True)) as opened:
        yield lambda webhooks: Turns(opened, webhooks)


def by_webhook(claims: tuple[Claim, ...]) -> Counter[str]:
    """Count claims."""
    return Counter(claim.webhook.webhook_id for claim in claims)


def test_sixteen_slow_endpoints_leave_the_seventeenth_its_turn(
    turns: Callable[[int], Turns],
) -> None:
    """They answer just before the time-out, and four POSTs are always due for each of them."""
    world, made, under_way = turns(17), Counter[str](), ()

    for _ in range(4):
        world.log(4)
        under_way = world.claim(AttemptSlots(64, 4, ()), under_way)
        made += by_webhook(under_way)
        world.now += ANSWER_SECONDS * SECOND

    assert 17 == len(made)
    assert min(made.values()) >= 4 * (64 // 17)


def test_nobody_gets_a_second_slot_before_everybody_has_one(
    turns: Callable[[int], Turns],
) -> None:
    """However few there are."""
    world = turns(3)
    world.log(4)

    claims = world.claim(AttemptSlots(4, 4, ()))

    assert [1, 1, 2] == sorted(by_webhook(claims).values())


def test_what_is_under_way_counts(turns: Callable[[int], Turns]) -> None:
    """A slot that was given out a round ago is a slot."""
    world = turns(2)
    world.log(4)

    claims = world.claim(AttemptSlots(5, 4, [("wh_00", False)] * 2))

    assert {"wh_00": 1, "wh_01": 2} == by_webhook(claims)


def test_the_one_that_was_served_longest_ago_is_first(turns: Callable[[int], Turns]) -> None:
    """One slot goes from hand to hand, whether the last attempt did well or not."""
    world, order, under_way = turns(3), [], ()
    world.log(3)

    for number in range(6):
        under_way = world.claim(AttemptSlots(1, 1, ()), under_way, well=number % 2 == 0)
        order += by_webhook(under_way)
        world.now += ANSWER_SECONDS * SECOND

    assert ["wh_00", "wh_01", "wh_02"] * 2 == order


def test_a_clock_that_was_ahead_costs_nobody_his_turn(turns: Callable[[int], Turns]) -> None:
    """An attempt in the future is none that was just made."""
    world, order = turns(2), []
    world.log(1)
    world.now += 400 * 86_400 * SECOND
    under_way = world.claim(AttemptSlots(1, 1, ()))
    world.now = NOW
    world.log(4)

    for _ in range(4):
        under_way = world.claim(AttemptSlots(1, 1, ()), under_way)
        order += by_webhook(under_way)
        world.now += SECOND

    assert ["wh_00", "wh_01"] * 2 == order
