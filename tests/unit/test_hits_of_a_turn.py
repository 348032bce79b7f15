"""The hits of one turn go to the recorder together."""

from collections.abc import Callable

from openclick.hits import Hit
from openclick_sidecar.hits_of_a_turn import HitsOfATurn, OnDone
from unit.samples import a_hit


class Recorder:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.hits: list[tuple[Hit, OnDone]] = []

    def record_many(self, hits: list[tuple[Hit, OnDone]]) -> None:
        """Keep hits."""
        self.hits += hits


def done(_kept: bool) -> None:
    """Hear of a hit's fate."""


def test_hits_wait_for_the_end_of_the_turn() -> None:
    """They arrive in order, and one call is asked for, however many there are."""
    recorder = Recorder()
    at_the_end: list[Callable[[], None]] = []
    hits = HitsOfATurn(recorder, at_the_end.append)
    for number in range(3):
        hits.record(a_hit(number), done)
    before = list(recorder.hits)

    for call in at_the_end:
        call()

    assert [] == before
    assert [(a_hit(number), done) for number in range(3)] == recorder.hits
    assert 1 == len(at_the_end)


def test_each_turn_is_its_own() -> None:
    """What comes after the hand-over waits for the next end."""
    recorder = Recorder()
    at_the_end: list[Callable[[], None]] = []
    hits = HitsOfATurn(recorder, at_the_end.append)
    hits.record(a_hit(1), done)
    at_the_end.pop()()

    hits.record(a_hit(2), done)

    assert [a_hit(1)] == [hit for hit, _ in recorder.hits]
    at_the_end.pop()()
    assert [a_hit(1), a_hit(2)] == [hit for hit, _ in recorder.hits]
