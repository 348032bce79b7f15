"""Looks webhooks' names up, in threads of its own.

Made by `service` and by the command; `dialling` calls `addresses`.  Promises: a name server that is
slow for one name holds up no other name, nor anybody else's threads; what one record type's servers
do not answer is passed over where the other's gave addresses, since every address is checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from openclick.domain_settings import DnsSettings
from openclick_sidecar.dialling import NameFault
from openclick_sidecar.resolver import CouldNotAsk, NameNotFound, Resolver


class NameLookup:
    """Threads that ask name servers; as many as attempts may be under way."""

    def __init__(self, settings: DnsSettings, reactor: Any, threads: int) -> None:
        self._settings = settings
        self._reactor = reactor
        self._pool = ThreadPool(0, threads, "names")

    def start(self) -> None:
        """Begin; threads are made when they are needed."""
        self._pool.start()

    def stop(self) -> None:
        """End the threads; blocks until the questions under way are answered."""
        self._pool.stop()

    def addresses(self, name: str) -> Deferred[Sequence[str]]:
        """Return the addresses of a name.  Fails with NameFault."""
        deferred: Deferred[Sequence[str]] = deferToThreadPool(
            self._reactor, self._pool, self._ask, name
        )
        return deferred

    def _ask(self, name: str) -> Sequence[str]:
        try:
            found = Resolver(self._settings).reachable_addresses(name)
        except NameNotFound as error:
            raise NameFault(f"{name}: there is no such name") from error
        except CouldNotAsk as error:
            raise NameFault(str(error)) from error
        if not found:
            raise NameFault(f"{name}: has no address")
        return sorted(found)
