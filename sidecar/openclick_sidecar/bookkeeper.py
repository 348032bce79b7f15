"""The one thread that works on openclick.db for the sidecar.

Called by `judging` and `dispatcher`: each hands over a function of the registry and gets a
Deferred, see `store_thread`.  One thread, because SQLite has one writer.

Promises: where the file is gone, none is made: an empty file would be in the way of the back-up,
and nobody would miss the domains.
"""

from __future__ import annotations

from typing import Any

from twisted.python.threadpool import ThreadPool

from openclick.store import Registry, Store
from openclick_sidecar.store_thread import StoreThread


class Bookkeeper(StoreThread[Registry]):
    """Runs functions of the registry, one after another."""

    def __init__(self, store: Store, reactor: Any) -> None:
        super().__init__(reactor, ThreadPool(1, 1, "bookkeeper"), self._open_registry)
        self._store = store
        self._was_there = False

    def _open_registry(self) -> Registry:
        registry = self._store.registry(owner=True, create=not self._was_there)
        self._was_there = True
        return registry
