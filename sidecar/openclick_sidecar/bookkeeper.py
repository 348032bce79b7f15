"""The one thread that works on openclick.db for the sidecar.

Called by `judging` and `dispatcher`: each hands over a function of the registry and gets a
Deferred.  One thread, because SQLite has one writer and a connection belongs to one thread at a
time; its own, because a slow disk must not hold the reactor.

Promises: a StoreFault reaches the caller, and the file is opened anew for the next call; so it is
where another file was put in its place, a back-up say.  Where there is none any more, none is made:
an empty file would be in the way of the back-up, and nobody would miss the domains.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from openclick.store import Registry, Store, StoreFault

T = TypeVar("T")


class Bookkeeper:
    """Runs functions of the registry, one after another."""

    def __init__(self, store: Store, reactor: Any) -> None:
        self._store = store
        self._reactor = reactor
        self._pool = ThreadPool(1, 1, "bookkeeper")
        self._registry: Registry | None = None
        self._was_there = False

    def start(self) -> None:
        """Start the thread."""
        self._pool.start()

    def stop(self) -> None:
        """Finish what is under way, close the file, end the thread; blocks until then."""
        self._pool.callInThread(self._close)
        self._pool.stop()

    def run(self, work: Callable[[Registry], T]) -> Deferred[T]:
        """Return what `work` returns, in the reactor's thread.  Fails with StoreFault."""
        deferred: Deferred[T] = deferToThreadPool(
            self._reactor, self._pool, self._with_registry, work
        )
        return deferred

    def _with_registry(self, work: Callable[[Registry], T]) -> T:
        if self._registry is not None and self._registry.moved:
            self._close()
        if self._registry is None:
            self._registry = self._store.registry(owner=True, create=not self._was_there)
            self._was_there = True
        try:
            return work(self._registry)
        except StoreFault:
            self._close()
            raise

    def _close(self) -> None:
        if self._registry is not None:
            self._registry.close()
            self._registry = None
