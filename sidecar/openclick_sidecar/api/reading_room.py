"""The one thread that reads openclick.db for the API.

Called by the resources: each hands over a function of the reader and gets a Deferred, see
`store_thread`.  A thread of its own, so that a long search holds up neither the judge nor a
delivery; a read-only connection, so that it cannot hold a lock that they wait for.
"""

from __future__ import annotations

from typing import Any

from twisted.python.threadpool import ThreadPool

from openclick.store import RegistryReader, Store
from openclick_sidecar.store_thread import StoreThread


class ReadingRoom(StoreThread[RegistryReader]):
    """Runs functions of the registry's reader, one after another."""

    def __init__(self, store: Store, reactor: Any) -> None:
        super().__init__(reactor, ThreadPool(0, 1, "api-reader"), store.registry_reader)
