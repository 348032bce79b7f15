"""Puts the status page together: store, threads, what is remembered.

Called by `service`; whichever listener shows the page gets the resource that `status_page` returns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from openclick.instants import now
from openclick.settings import Config
from openclick.store import RecentEvent, Store
from openclick_sidecar.metrics import Readings
from openclick_sidecar.status.overview import Overview, look, named, recent
from openclick_sidecar.status.remembered import Remembered
from openclick_sidecar.status.resource import Sources, StatusPage

_KEEP_SECONDS = 5.0


def status_page(
    config: Config, store: Store, reactor: Any, readings: Callable[[], Readings], login: str
) -> StatusPage:
    """Return the page; `readings` are the running sidecar's numbers, `login` USER:PASSWORD."""
    reserve_bytes = config.store.reserve_bytes

    def counted() -> Overview:
        return look(store, reserve_bytes, now())

    def events_of(name: str) -> tuple[RecentEvent, ...]:
        return recent(store, named(store, name))

    def in_thread(work: Callable[..., Any], *given: Any) -> Deferred[Any]:
        done: Deferred[Any] = deferToThreadPool(reactor, reactor.getThreadPool(), work, *given)
        return done

    overview = Remembered(lambda: in_thread(counted), time.monotonic, _KEEP_SECONDS)
    sources = Sources(overview.get, lambda name: in_thread(events_of, name), readings)
    return StatusPage(sources, login)
