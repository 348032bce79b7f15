"""Puts the sidecar together: listener, recorder, judge, dispatcher.

Called by `main`.  `start` either has every port open or raises CannotListen and leaves nothing
running; `stop` answers what was taken, then ends the threads.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import LoopingCall

from openclick.instants import now
from openclick.keys import KeyDirectory, KeyFault
from openclick.logs import line
from openclick.settings import Config, HostPort
from openclick.store import Store, StoreFault
from openclick_sidecar import dispatcher, judging, retention
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.channel import HitFactory
from openclick_sidecar.judge import Judge
from openclick_sidecar.keeper import keeper_for
from openclick_sidecar.post import Poster
from openclick_sidecar.recorder import HitRecorder
from openclick_sidecar.rules import packaged_rules
from openclick_sidecar.site import TrackingSite

log = logging.getLogger(__name__)

_BACKLOG = 1024
_SWEEP_SECONDS = 1.0


class CannotListen(Exception):
    """A port cannot be opened; the message says which and why."""


class Sidecar:
    """Everything that runs in the sidecar's process."""

    def __init__(self, config: Config, store: Store, reactor: Any) -> None:
        self._config = config
        self._reactor = reactor
        self._keys = KeyDirectory(config.keys.directory, time.monotonic)
        keeper = keeper_for(store, config.store, lambda: config.retention.hits_days)
        self._recorder = HitRecorder(keeper, reactor)
        site = TrackingSite(self._keys, self._recorder, now, os.urandom)
        self._factory = HitFactory(site.on_request, time.monotonic)
        self._bookkeeper = Bookkeeper(store, reactor)
        self._poster = Poster(reactor, config.webhooks.timeout_seconds)
        self._dispatcher = dispatcher.Dispatcher(self._bookkeeper, self._poster, now)
        self._docket = judging.Docket(store, Judge(packaged_rules()), now, self._recorder.distrust)
        self._judging = judging.Judging(
            self._docket,
            self._bookkeeper,
            config.sidecar.hold_seconds,
            time.monotonic,
            on_judged=self._dispatch_soon,
        )
        self._retention = retention.Retention(
            self._bookkeeper, lambda: config.retention, now, time.monotonic
        )
        self._ports: list[Any] = []
        self._loops = [
            (LoopingCall(self._factory.sweep), _SWEEP_SECONDS),
            (LoopingCall(_coroutine(self._judging.tick)), judging.TICK_SECONDS),
            (LoopingCall(_coroutine(self._dispatcher.tick)), dispatcher.TICK_SECONDS),
            (LoopingCall(_coroutine(self._retention.tick)), retention.TICK_SECONDS),
        ]

    def start(self) -> None:
        """Open the ports and start the threads.  Raises CannotListen."""
        for address in self._config.sidecar.listen:
            self._ports.append(self._listen(address))
        self._recorder.start()
        self._bookkeeper.start()
        for loop, seconds in self._loops:
            loop.clock = self._reactor
            judging.detach("service", loop.start(seconds))
        self._say_what_is_missing()
        log.info(line("sidecar", "ready", listen=",".join(map(str, self._config.sidecar.listen))))

    async def stop(self) -> None:
        """Close the ports, let threads finish what they hold, close connections."""
        for port in self._ports:
            await maybeDeferred(port.stopListening)
        for loop, _ in self._loops:
            if loop.running:
                loop.stop()
        self._recorder.stop()
        await self._poster.close()
        with suppress(StoreFault):
            await self._bookkeeper.run(lambda _registry: self._docket.close())
        self._bookkeeper.stop()
        log.info(line("sidecar", "stopped"))

    def _listen(self, address: HostPort) -> Any:
        """Bind a socket of our own: Twisted's takes IPv4 too on [::], and then 0.0.0.0 is refused.

        Raises CannotListen.
        """
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # Twisted does not see to this, and a blocking accept hangs the whole process.
            listening.setblocking(False)
            try:
                listening.bind((address.host, address.port))
                listening.listen(_BACKLOG)
            except OSError as error:
                raise CannotListen(f"{address}: cannot listen: {error.strerror}") from error
            # The reactor duplicates the descriptor, so ours may be closed.
            return self._reactor.adoptStreamPort(listening.fileno(), family, self._factory)

    def _dispatch_soon(self) -> None:
        judging.detach("dispatcher", Deferred.fromCoroutine(self._dispatcher.tick()))

    def _say_what_is_missing(self) -> None:
        """Log at start what keeps links from being answered."""
        try:
            self._keys.ring()
        except KeyFault as fault:
            log.error(line("keys", f"{fault}; no link can be answered until there is one"))


def _coroutine(
    function: Callable[[], Coroutine[Deferred[Any], Any, None]],
) -> Callable[[], Deferred[None]]:
    """Return `function` as LoopingCall wants it: each turn waits for the last one's Deferred."""

    def run() -> Deferred[None]:
        return judging.detach("service", Deferred.fromCoroutine(function()))

    return run
