"""Puts the API together: keys, resources, submission, its own listeners.

Made by the sidecar's `service`.  `start` either has every port open or raises CannotListen and
leaves none; `stop` takes no new request, answers those that it has, and ends the threads.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import deferLater
from twisted.web.resource import Resource

from openclick.instants import now
from openclick.keys import KeyDirectory
from openclick.logs import line
from openclick.settings import Config
from openclick.store import Store
from openclick.webhook_actions import url_rules
from openclick_sidecar.api.batch import Batch
from openclick_sidecar.api.domains import CheckNow, Domains
from openclick_sidecar.api.email import Email
from openclick_sidecar.api.events import Events
from openclick_sidecar.api.gate import Gate
from openclick_sidecar.api.known_domains import KnownDomains
from openclick_sidecar.api.ledger import Ledger
from openclick_sidecar.api.reading_room import ReadingRoom
from openclick_sidecar.api.router import Route, Router
from openclick_sidecar.api.sending import Sending
from openclick_sidecar.api.site import ApiSite
from openclick_sidecar.api.submitter import Submitter
from openclick_sidecar.api.tls import with_tls
from openclick_sidecar.api.webhooks import Webhooks
from openclick_sidecar.api.whoami import Whoami
from openclick_sidecar.api.workshop import Workshop
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.listeners import bind
from openclick_sidecar.patience import done_within
from openclick_sidecar.post import Poster

log = logging.getLogger(__name__)

_DRAIN_SECONDS = 10.0
_DRAIN_LOOK_SECONDS = 0.05
_LAST_WORK_SECONDS = 5.0
_REQUEST_ID_BYTES = 12


class Api:
    """The API of one sidecar."""

    def __init__(
        self,
        config: Config,
        store: Store,
        keys: KeyDirectory,
        bookkeeper: Bookkeeper,
        poster: Poster,
        check_now: CheckNow,
        reactor: Any,
        status_page: Resource | None = None,
    ) -> None:
        """`status_page` is shown beside the API, at /status."""
        self._settings = config.api
        self._config = config
        self._bookkeeper = bookkeeper
        self._poster = poster
        self._check_now = check_now
        self._reactor = reactor
        self._room = ReadingRoom(store, reactor)
        hello = config.sidecar.public_hostname or "localhost"
        self._submitter = Submitter(
            reactor, config.api.submit_to, hello, config.api.submit_timeout_seconds
        )
        self._sending = Sending(
            Ledger(bookkeeper),
            self._submitter,
            keys,
            config.milter.header_prefix,
            config.api.max_waiting,
            now,
            os.urandom,
        )
        gate = Gate(self._room, time.monotonic)
        self.routes = self._all_routes(hello)
        self.site = ApiSite(Router(self.routes, gate), reactor, _new_request_id, status_page)
        self._ports: list[Any] = []
        self._is_started = False

    def _all_routes(self, installation: str) -> Sequence[Route]:
        domains = KnownDomains(self._room, time.monotonic)
        workshop = Workshop(self._reactor)
        host = self._config.sidecar.public_hostname
        rules = url_rules(self._config.webhooks)
        return (
            *Domains(self._bookkeeper, self._check_now, host, now).routes(),
            *Webhooks(self._bookkeeper, self._poster, rules, now, os.urandom).routes(),
            *Whoami(installation).routes(),
            *Events(self._room, now).routes(),
            *Email(self._sending, domains, workshop).routes(),
            *Batch(self._sending, domains, workshop).routes(),
        )

    def start(self) -> None:
        """Open the ports and start the threads.  Raises CannotListen."""
        if not self._settings.listen:
            return
        factory: Any = self.site
        if self._settings.certificate_file or self._settings.key_file:
            factory = with_tls(factory, self._settings.certificate_file, self._settings.key_file)
        with contextlib.ExitStack() as undo:
            bound = [undo.enter_context(bind(address)) for address in self._settings.listen]
            for each in bound:
                # The reactor duplicates the descriptor; ours is closed on the way out.
                port = self._reactor.adoptStreamPort(each.fileno(), each.family, factory)
                self._ports.append(port)
        self.start_threads()
        self._is_started = True
        listening = ",".join(map(str, self._settings.listen))
        log.info(line("api", "listening", listen=listening, submit_to=self._settings.submit_to))

    async def stop(self) -> None:
        """Close the ports, answer what has come in, end the threads."""
        if not self._is_started:
            return
        for port in self._ports:
            await maybeDeferred(port.stopListening)
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self.site.under_way and time.monotonic() < deadline:
            await deferLater(self._reactor, _DRAIN_LOOK_SECONDS)
        if not await done_within(self._reactor, _LAST_WORK_SECONDS, self.stop_threads):
            log.error(line("api", "a thread hangs; what it does is in doubt"))

    def start_threads(self) -> None:
        """Let the threads begin when they are first needed."""
        self._room.start()
        self._submitter.start()

    def stop_threads(self) -> None:
        """Finish what is under way; blocks until then."""
        self._submitter.stop()
        self._room.stop()


def _new_request_id() -> str:
    return f"req_{os.urandom(_REQUEST_ID_BYTES).hex()}"
