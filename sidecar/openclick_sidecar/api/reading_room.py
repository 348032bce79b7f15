"""The one thread that reads openclick.db for the API.

Called by the resources: each hands over a function of the reader and gets a Deferred.  A thread of
its own, so that a long search holds up neither the judge nor a delivery; a read-only connection,
so that it cannot hold a lock that they wait for.

Promises: a StoreFault reaches the caller, and the file is opened anew for the next call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from openclick.store import RegistryReader, Store, StoreFault

T = TypeVar("T")


class ReadingRoom:
    """Runs functions of the registry's reader, one after another."""

    def __init__(self, store: Store, reactor: Any) -> None:
        self._store = store
        self._reactor = reactor
        self._pool = ThreadPool(0, 1, "api-reader")
        self._reader: RegistryReader | None = None

    def start(self) -> None:
        """Let the thread begin when it is first needed."""
        self._pool.start()

    def stop(self) -> None:
        """Finish what is under way, close the file, end the thread; blocks until then."""
        self._pool.callInThread(self._close)
        self._pool.stop()

    def run(self, work: Callable[[RegistryReader], T]) -> Deferred[T]:
        """Return what `work` returns, in the reactor's thread.  Fails with StoreFault."""
        deferred: Deferred[T] = deferToThreadPool(
            self._reactor, self._pool, self._with_reader, work
        )
        return deferred

    def _with_reader(self, work: Callable[[RegistryReader], T]) -> T:
        if self._reader is not None and self._reader.moved:
            self._close()
        if self._reader is None:
            self._reader = self._store.registry_reader()
        try:
            return work(self._reader)
        except StoreFault:
            self._close()
            raise

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
