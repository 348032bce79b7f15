"""The sending domains, held in memory and read again when the store says that one has changed.

Called by every submission.  A lookup asks the store one number (the generation); the domains, and
the names for which the sidecar serves https, are read only when it has grown.  Safe to use from
libmilter's threads.

Promises: nothing stale is ever used: where the store cannot be asked, `lookup` raises StoreFault
and the mail goes out untouched; the next message tries again.
"""

from __future__ import annotations

import threading

from openclick.domains import SendingDomain
from openclick.store import RegistryReader, Store, StoreFault


class DomainDirectory:
    """The added domains by name."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._reader: RegistryReader | None = None
        self._generation = -1
        self._domains: dict[str, SendingDomain] = {}
        self._https_names: frozenset[str] = frozenset()

    def lookup(self, name: str) -> SendingDomain | None:
        """Return the domain called `name`, None where it was never added.  Raises StoreFault."""
        with self._lock:
            try:
                self._refresh()
            except StoreFault:
                self._forget()
                raise
            return self._domains.get(name)

    def serves_https(self, tracking_domain: str) -> bool:
        """Tell whether the sidecar could serve https for a tracking domain at the last lookup."""
        with self._lock:
            return tracking_domain in self._https_names

    def _refresh(self) -> None:
        if self._reader is not None and self._reader.moved:
            self._forget()  # a back-up was put back, say
        if self._reader is None:
            self._reader = self._store.registry_reader()
        generation = self._reader.domains.generation()
        if generation != self._generation:
            self._domains = {domain.name: domain for domain in self._reader.domains.many_domains()}
            self._https_names = self._reader.certificates.https_names()
            self._generation = generation

    def _forget(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader, self._generation, self._domains = None, -1, {}
