"""How often one visitor asks for one token, over batches and within one."""

from openclick.instants import SECOND
from openclick.store import JudgeCursor, Registry
from openclick_sidecar.judge import REPEAT_LIMIT
from openclick_sidecar.repeats import Repeats
from unit.samples import NOW, a_hit, a_judgement

HOUR = 3600 * SECOND


def judge(registry: Registry, *numbers: int) -> None:
    """Have hits judged, as an earlier batch did."""
    registry.events.record_judgements(
        [a_judgement(number) for number in numbers], JudgeCursor("file", numbers[-1]), NOW
    )


def test_the_first(registry: Registry) -> None:
    """Nobody came before."""
    assert Repeats(registry.events).number(a_hit(1)) == 1


def test_earlier_batches_and_this_one(registry: Registry) -> None:
    """Both count."""
    judge(registry, 1, 2, 3)
    repeats = Repeats(registry.events)
    repeats.add(a_hit(4))
    repeats.add(a_hit(5, ip="198.51.100.1"))

    assert repeats.number(a_hit(6)) == 5
    assert repeats.number(a_hit(6, ip="198.51.100.1")) == 2


def test_an_hour_and_no_more(registry: Registry) -> None:
    """What is older is forgotten, in the store and in the batch."""
    judge(registry, 1)
    repeats = Repeats(registry.events)
    repeats.add(a_hit(2))

    assert repeats.number(a_hit(3, received_at=NOW + 1 + HOUR)) == 3
    assert repeats.number(a_hit(3, received_at=NOW + 2 + HOUR)) == 2
    assert repeats.number(a_hit(3, received_at=NOW + 3 + HOUR)) == 1


def test_the_clock_was_set_back(registry: Registry) -> None:
    """Hits whose instants are still to come are no repeat of this one."""
    judge(registry, 5)
    repeats = Repeats(registry.events)
    repeats.add(a_hit(6))

    assert repeats.number(a_hit(7, received_at=NOW)) == 1


def test_counting_ends_past_the_limit(registry: Registry) -> None:
    """A flood costs no more than a few."""
    judge(registry, *range(1, 100))
    repeats = Repeats(registry.events)
    for number in range(100, 200):
        repeats.add(a_hit(number))

    assert REPEAT_LIMIT + 1 == repeats.number(a_hit(300))
    assert REPEAT_LIMIT + 1 == Repeats(registry.events).number(a_hit(300))
