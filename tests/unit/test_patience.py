"""The end of a thread's work, waited for within a bound."""

import threading

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from openclick_sidecar.patience import done_within
from unit.turns import Turns


class Reactor(Clock):
    """A reactor whose clock and whose other threads are the test's."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = Turns()
        self.callFromThread = self.turns.callFromThread


def waited_for(reactor: Reactor, work: threading.Event) -> list[bool]:
    """Wait ten seconds for `work` to be set; the answer comes into the list that is returned."""
    answers: list[bool] = []
    waiting = done_within(reactor, 10, lambda: work.wait(20))
    Deferred.fromCoroutine(waiting).addCallback(answers.append)
    return answers


def test_work_that_is_done() -> None:
    """It is told on the reactor's thread, at once."""
    reactor, work = Reactor(), threading.Event()
    answers = waited_for(reactor, work)

    work.set()
    reactor.turns.wait()

    assert [True] == answers
    assert [] == reactor.getDelayedCalls()


def test_work_that_hangs() -> None:
    """After the bound nobody waits for it; that it is done later changes nothing."""
    reactor, work = Reactor(), threading.Event()
    answers = waited_for(reactor, work)

    reactor.advance(10)
    at_the_bound = list(answers)
    work.set()
    reactor.turns.wait()

    assert [False] == at_the_bound == answers
