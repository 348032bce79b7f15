"""Puts the sidecar together: listeners, recorder, judge, dispatcher.

Called by `main`.  `start` either has every port open or raises CannotListen and leaves nothing
running; `stop` answers what was taken, then ends the threads.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from openclick.instants import now
from openclick.keys import KeyDirectory, KeyFault
from openclick.logs import line
from openclick.settings import Config
from openclick.store import Store, StoreFault
from openclick.systemd import InheritedSocket, notify, watchdog_seconds
from openclick_sidecar import backlog, dispatcher, judging, renewals, retention, verifying
from openclick_sidecar.admission import Admission
from openclick_sidecar.api.service import Api
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.checks import DomainChecks
from openclick_sidecar.client_address import ClientAddresses
from openclick_sidecar.counters import HitCounters
from openclick_sidecar.descriptors import make_room
from openclick_sidecar.docket import Docket
from openclick_sidecar.hit_factory import HitFactory
from openclick_sidecar.hits_of_a_turn import HitsOfATurn
from openclick_sidecar.https import Https
from openclick_sidecar.judge import Judge
from openclick_sidecar.keeper import keeper_for
from openclick_sidecar.listeners import CannotListen, Listeners
from openclick_sidecar.metrics import Readings
from openclick_sidecar.pace import Pace
from openclick_sidecar.patience import done_within
from openclick_sidecar.posting import Posting
from openclick_sidecar.random_bytes import RandomBytes
from openclick_sidecar.readiness import Pulse, Readiness
from openclick_sidecar.recorder import HitRecorder
from openclick_sidecar.site import TrackingSite
from openclick_sidecar.status.resource import StatusPage
from openclick_sidecar.status.wiring import status_page
from openclick_sidecar.status_pages import StatusSite
from openclick_sidecar.store_state import StoreState
from openclick_sidecar.store_watch import StoreWatch
from openclick_sidecar.waiting_room import WaitingRoom

__all__ = ["CannotListen", "Sidecar"]

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 1.0
_LAST_REQUESTS_SECONDS = 0.2
_DRAIN_SECONDS = 10.0
_DRAIN_LOOK_SECONDS = 0.02
_LAST_WORK_SECONDS = 5.0
_LAST_POSTS_SECONDS = 2.0
_LAST_CHECK_SECONDS = 0.5


class Sidecar:
    """Everything that runs in the sidecar's process."""

    def __init__(
        self,
        config: Config,
        store: Store,
        judge: Judge,
        reactor: Any,
        authorities: Sequence[bytes] = (),
        status_login: str = "",
    ) -> None:
        """`authorities` are certificates in PEM that webhooks' are checked against too."""
        self._config = config
        self._store = store
        self._reactor = reactor
        self._started_at_seconds = time.time()
        self._keys = KeyDirectory(config.keys.directory, time.monotonic)
        self._keeper = keeper_for(store, config.store, lambda: config.retention.hits_days)
        self._recorder = HitRecorder(self._keeper, reactor)
        self._room = WaitingRoom()
        self._counters = HitCounters()
        self._https = Https(config, store, self._counters)
        self._site = self._tracking_site()
        self._clients = ClientAddresses(config.sidecar.trusted_proxies)
        self._admission = self._caps()
        self._factory = HitFactory(
            self._site.on_request,
            time.monotonic,
            clients=self._clients,
            room=self._room,
            counters=self._counters,
            on_end=self._admission.release,
        )
        self._watch = StoreWatch(store, reactor)
        self._status_page = self._make_status_page(status_login)
        self._listeners = Listeners(
            reactor,
            self._factory,
            self._admission,
            self._clients.trusts,
            self._status_site(),
            self._https.contexts,
        )
        self._bookkeeper = Bookkeeper(store, reactor)
        self._posting = Posting(config, reactor, authorities)
        self._dispatcher = dispatcher.Dispatcher(
            self._bookkeeper, self._posting.poster, config.webhooks, now
        )
        self._docket = self._make_docket(judge)
        self._judging = self._judge_service()
        self._retention = retention.Retention(
            self._bookkeeper, lambda: config.retention, now, time.monotonic
        )
        self._backlog = backlog.BacklogWatch(self._bookkeeper)
        self._verifying = self._make_verifying()
        self._renewals = self._https.renewals(self._bookkeeper, reactor, self._verifying.hurry)
        self._loops = self._periodic()
        self._api = self._make_api()
        self._add_watchdog()

    def _make_status_page(self, login: str) -> StatusPage:
        return status_page(
            self._config,
            self._store,
            self._reactor,
            lambda: self._readings(StoreState()),
            login,
        )

    def _status_site(self) -> StatusSite:
        readiness = Readiness(self._keys, self._site, lambda: self._recorder.running, now)
        return StatusSite(
            self._read,
            readiness.reasons,
            self._watch.checks,
            self._https.may_have_certificate,
            self._status_page,
        )

    def start(self, inherited: Sequence[InheritedSocket]) -> None:
        """Open the ports and start the threads.  Raises CannotListen."""
        addresses = self._listeners.open_all(self._config.sidecar, inherited)
        self._api.start()
        self._https.speaks_tls = self._listeners.speaks_tls
        self._recorder.start()
        self._bookkeeper.start()
        self._posting.start()
        self._verifier_pool.start()
        for loop, seconds in self._loops:
            loop.clock = self._reactor
            judging.detach("service", loop.start(seconds))
        self._say_what_is_missing()
        notify("READY=1")
        log.info(line("sidecar", "ready", listen=addresses))

    async def stop(self) -> None:
        """Close the ports, answer what was taken, let threads finish what they hold."""
        notify("STOPPING=1")
        for port in self._listeners.ports:
            await maybeDeferred(port.stopListening)
        ending = [self._drain(), self._api.stop()]
        await gatherResults([Deferred.fromCoroutine(each) for each in ending])
        for loop, _ in self._loops:
            if loop.running:
                loop.stop()
        if not await done_within(self._reactor, _LAST_WORK_SECONDS, self._recorder.stop):
            log.error(line("hits", "the disk hangs; hits that wait for it are not recorded"))
        await self._dispatcher.stop(self._reactor, _LAST_POSTS_SECONDS)
        await self._posting.stop()
        # What is looked up now is looked up again after the next start: nothing is lost.
        await done_within(self._reactor, _LAST_CHECK_SECONDS, self._verifier_pool.stop)
        self._bookkeeper.run(lambda _registry: self._docket.close()).addErrback(_forget_fault)
        if not await done_within(self._reactor, _LAST_WORK_SECONDS, self._bookkeeper.stop):
            log.error(line("judge", "the disk hangs; what is not judged waits for the next start"))
        log.info(line("sidecar", "stopped"))

    def _tracking_site(self) -> TrackingSite:
        return TrackingSite(
            self._keys,
            HitsOfATurn(self._recorder, lambda call: self._reactor.callLater(0, call)),
            now,
            RandomBytes(os.urandom).take,
            self._room,
            self._counters,
            self._https.challenges.page,
        )

    def _periodic(self) -> list[tuple[LoopingCall, float]]:
        """Return what is called again and again, with the seconds in between."""
        return [
            (LoopingCall(self._factory.sweep), _SWEEP_SECONDS),
            (LoopingCall(_coroutine(self._judging.tick)), judging.TICK_SECONDS),
            (LoopingCall(_coroutine(self._dispatcher.tick)), dispatcher.TICK_SECONDS),
            (LoopingCall(_coroutine(self._retention.tick)), retention.TICK_SECONDS),
            (LoopingCall(_coroutine(self._backlog.tick)), backlog.TICK_SECONDS),
            (LoopingCall(_coroutine(self._renewals.tick)), renewals.TICK_SECONDS),
            (LoopingCall(_coroutine(self._verifying.tick)), verifying.TICK_SECONDS),
        ]

    async def _drain(self) -> None:
        """Answer what clients have sent until now, and end their connections, within a bound.

        A request that has just reached this machine may not have been read yet, so kept
        connections get a moment; whoever asks in it is told that the connection closes.
        """
        self._factory.draining = True
        deadline = time.monotonic() + _DRAIN_SECONDS
        await deferLater(self._reactor, _LAST_REQUESTS_SECONDS)
        self._factory.end_idle()
        while self._factory.connections() and time.monotonic() < deadline:
            await deferLater(self._reactor, _DRAIN_LOOK_SECONDS)
        self._factory.end_all()

    def _make_docket(self, judge: Judge) -> Docket:
        return Docket(
            self._store,
            judge,
            now,
            self._recorder.distrust,
            first_unstored_at=lambda: self._recorder.first_unstored_at,
        )

    def _judge_service(self) -> judging.Judging:
        return judging.Judging(
            self._docket,
            self._bookkeeper,
            self._config.sidecar.hold_seconds,
            time.monotonic,
            on_judged=self._dispatch_soon,
            pace=Pace(lambda: self._recorder.recorded, self._sleep),
        )

    def _caps(self) -> Admission:
        settings = self._config.sidecar
        room = make_room(settings.max_connections)
        if room < settings.max_connections:
            log.warning(
                line(
                    "sidecar",
                    f"sidecar.max_connections is {settings.max_connections}, but this process may "
                    f"open too few files: need a higher LimitNOFILE; {room} are let in",
                )
            )
        return Admission(room, settings.max_connections_per_address, self._clients.trusts)

    def _make_api(self) -> Api:
        return Api(
            self._config,
            self._store,
            self._keys,
            self._bookkeeper,
            self._posting.poster,
            self._verifying.check_now,
            self._reactor,
            self._status_page,
        )

    def _make_verifying(self) -> verifying.Verifying:
        settings = self._config.verification
        self._verifier_pool = ThreadPool(0, verifying.CHECKS_AT_ONCE, "verifier")
        return verifying.Verifying(
            self._bookkeeper,
            DomainChecks(self._config, self._keys.ring, self._https),
            settings.check_every_seconds,
            in_thread=lambda work, *args: deferToThreadPool(
                self._reactor, self._verifier_pool, work, *args
            ),
            detach=lambda check: judging.detach("domains", check),
            now=now,
            monotonic=time.monotonic,
            chance=random.random,
        )

    def _add_watchdog(self) -> None:
        seconds = watchdog_seconds(os.environ, os.getpid())
        if seconds is not None:
            pulse = Pulse(self._room, lambda: notify("WATCHDOG=1"))
            self._loops.append((LoopingCall(pulse.tick), seconds / 2))

    def _read(self) -> Deferred[Readings]:
        """Take all numbers; some stand in the store, which is read in another thread."""
        return self._watch.state().addCallback(self._readings)

    def _readings(self, state: StoreState) -> Readings:
        return Readings(
            started_at_seconds=self._started_at_seconds,
            requests=self._counters.requests,
            refused_tokens=self._counters.refused_tokens,
            refused_hellos=self._counters.refused_hellos,
            refused_connections=self._admission.refused,
            bad_requests=self._counters.bad_requests,
            late_connections=self._counters.late_connections,
            connections=self._admission.open,
            listening=self._listeners.listening,
            hits={
                "recorded": self._keeper.stored,
                "journaled": self._keeper.journaled,
                "lost": self._recorder.lost,
            },
            certificates=self._renewals.certificates,
            next_expiry_at=self._renewals.next_expiry_at,
            hits_waiting=self._room.waiting,
            reading_pauses=self._room.pauses,
            verdicts={
                (visitor.value, rule): count
                for (visitor, rule), count in self._docket.tally.counts().items()
            },
            unreadable_rows=self._docket.damage.counts(),
            webhook_attempts=dict(self._dispatcher.attempts),
            backlog=self._backlog.last,
            now=now(),
            state=state,
        )

    def _sleep(self, seconds: float) -> Deferred[None]:
        return deferLater(self._reactor, seconds, lambda: None)

    def _dispatch_soon(self) -> None:
        judging.detach("dispatcher", Deferred.fromCoroutine(self._dispatcher.tick()))

    def _say_what_is_missing(self) -> None:
        """Log at start what keeps links from being answered."""
        try:
            self._keys.ring()
        except KeyFault as fault:
            log.error(line("keys", f"{fault}; no link can be answered until there is one"))
        if missing := self._https.fault_of_settings():
            log.warning(line("tls", missing))
        settings = self._config.sidecar
        if settings.proxy_protocol_listen and not settings.trusted_proxies:
            log.warning(
                line(
                    "sidecar",
                    "sidecar.proxy_protocol_listen is set, but sidecar.trusted_proxies is empty: "
                    "need the proxies there; until then nobody is let in",
                )
            )


def _forget_fault(failure: Failure) -> None:
    """Let a store that cannot be used be no hindrance to the end."""
    if not isinstance(failure.value, StoreFault):
        failure.raiseException()


def _coroutine(
    function: Callable[[], Coroutine[Deferred[Any], Any, None]],
) -> Callable[[], Deferred[None]]:
    """Return `function` as LoopingCall wants it: each turn waits for the last one's Deferred."""

    def run() -> Deferred[None]:
        return judging.detach("service", Deferred.fromCoroutine(function()))

    return run
