"""Numbers that are counted once for many who ask."""

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from openclick_sidecar.status.remembered import Remembered
from support.clock import Clock


class Counting:
    """A count that ends when the test says so."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.under_way: list[Deferred[int]] = []
        self.remembered = Remembered(self._count, self.clock.monotonic, 5.0)

    def _count(self) -> Deferred[int]:
        self.under_way.append(Deferred())
        return self.under_way[-1]

    def ask(self) -> list[int]:
        """Ask, and return a list that the result will be put into."""
        got: list[int] = []
        self.remembered.get().addCallback(got.append)
        return got


@pytest.fixture
def counting() -> Counting:
    """Return one that nobody has asked yet."""
    return Counting()


def test_many_ask_at_once(counting: Counting) -> None:
    """One count for all of them."""
    got = [counting.ask() for _ in range(3)]

    counting.under_way[0].callback(7)

    assert got == [[7]] * 3
    assert len(counting.under_way) == 1


def test_asked_again_soon(counting: Counting) -> None:
    """The last result is good for some seconds."""
    counting.ask()
    counting.under_way[0].callback(7)
    counting.clock.advance(4.9)

    again = counting.ask()

    assert again == [7]
    assert len(counting.under_way) == 1


def test_asked_again_later(counting: Counting) -> None:
    """Counted anew."""
    counting.ask()
    counting.under_way[0].callback(7)
    counting.clock.advance(5)

    again = counting.ask()
    counting.under_way[1].callback(8)

    assert again == [8]


def test_what_took_long_is_kept_for_longer(counting: Counting) -> None:
    """So that counting takes a tenth of the time at most."""
    counting.ask()
    counting.clock.advance(20)
    counting.under_way[0].callback(7)
    counting.clock.advance(179)

    again = counting.ask()

    assert again == [7]
    assert len(counting.under_way) == 1


def test_a_count_that_fails(counting: Counting) -> None:
    """Whoever waits is told, and the next one counts anew."""
    failures: list[Failure] = []
    counting.remembered.get().addErrback(failures.append)
    counting.under_way[0].errback(Failure(RuntimeError("broken")))

    got = counting.ask()
    counting.under_way[1].callback(7)

    assert [failure.type for failure in failures] == [RuntimeError]
    assert got == [7]


def test_somebody_who_has_gone(counting: Counting) -> None:
    """The others get theirs."""
    gone = counting.remembered.get()
    gone.addErrback(lambda _cancelled: None)
    got = counting.ask()

    gone.cancel()
    counting.under_way[0].callback(7)

    assert got == [7]
