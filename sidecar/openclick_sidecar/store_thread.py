"""One thread that works on one side of openclick.db.

Inherited by `bookkeeper`, which writes, and `api.reading_room`, which reads: each hands over
functions of its side and gets a Deferred.  A connection belongs to one thread at a time, and a slow
disk must not hold the reactor.

Promises: one function after another; a StoreFault reaches the caller, and the file is opened anew
for the next call; so it is where another file was put in its place, a back-up say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from openclick.store import StoreFault

T = TypeVar("T")


class _OpenFile(Protocol):
    """What is asked of either side."""

    @property
    def moved(self) -> bool:
        """Whether another file stands in this one's place by now."""

    def close(self) -> None:
        """Close the file."""


Side = TypeVar("Side", bound=_OpenFile)


class StoreThread(Generic[Side]):
    """Runs functions of what `open_side` returns, one after another, in the thread of `pool`."""

    def __init__(self, reactor: Any, pool: ThreadPool, open_side: Callable[[], Side]) -> None:
        self._reactor = reactor
        self._pool = pool
        self._open_side = open_side
        self._side: Side | None = None

    def start(self) -> None:
        """Let the thread begin: at once or when it is first needed, as its pool has it."""
        self._pool.start()

    def stop(self) -> None:
        """Finish what is under way, close the file, end the thread; blocks until then."""
        self._pool.callInThread(self._close)
        self._pool.stop()

    def run(self, work: Callable[[Side], T]) -> Deferred[T]:
        """Return what `work` returns, in the reactor's thread.  Fails with StoreFault."""
        deferred: Deferred[T] = deferToThreadPool(self._reactor, self._pool, self._with_side, work)
        return deferred

    def _with_side(self, work: Callable[[Side], T]) -> T:
        if self._side is not None and self._side.moved:
            self._close()
        if self._side is None:
            self._side = self._open_side()
        try:
            return work(self._side)
        except StoreFault:
            self._close()
            raise

    def _close(self) -> None:
        if self._side is not None:
            self._side.close()
            self._side = None
