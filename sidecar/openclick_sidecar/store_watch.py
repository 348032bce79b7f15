"""Reads the store's state for /metrics and /readyz, in a thread, once for all who ask.

Called by `service`.  Promise: `checks` answers within a bound, whatever the disk does.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet import defer
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from openclick.instants import now
from openclick.store import Store
from openclick_sidecar.status.remembered import Remembered
from openclick_sidecar.store_state import StoreState, read_state

_KEEP_SECONDS = 1.0
_BOUND_SECONDS = 5.0


class StoreWatch:
    """The state of one store, and what speaks against it."""

    def __init__(self, store: Store, reactor: Any) -> None:
        self._reactor = reactor
        self._state: Remembered[StoreState] = Remembered(
            lambda: deferToThreadPool(reactor, reactor.getThreadPool(), read_state, store),
            time.monotonic,
            _KEEP_SECONDS,
        )

    def state(self) -> defer.Deferred[StoreState]:
        """Return the state, however long that takes."""
        return self._state.get()

    def checks(self) -> defer.Deferred[list[str]]:
        """Return why mail cannot be tracked as promised; a disk that hangs is a reason too."""
        reading = self._state.get().addTimeout(_BOUND_SECONDS, self._reactor)
        return reading.addCallbacks(lambda state: state.reasons(now()), _told_of_hanging)


def _told_of_hanging(failure: Failure) -> list[str]:
    error: Any = failure.value
    if not isinstance(error, defer.TimeoutError):
        raise error
    return [f"store: no answer within {_BOUND_SECONDS:g} s"]
