"""Answers requests for the status page.

Made by `service`; a Twisted resource, so that any listener can hold it: `render` is all it needs.
What was counted is shared among all who ask; the events of one message are looked up anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from openclick.logs import line
from openclick.store import RecentEvent, StoreFault
from openclick_sidecar.metrics import Readings
from openclick_sidecar.status.access import REALM, refusal
from openclick_sidecar.status.overview import Overview
from openclick_sidecar.status.page import HEADERS, Question, page

log = logging.getLogger(__name__)

_MAX_QUESTION = 998  # a Message-ID is at most a line (RFC 5322, 2.1.1)


@dataclass(frozen=True)
class Sources:
    """Where the page's numbers come from.

    `events_of` finds the events of the messages that a text names; `readings` are the running
    sidecar's own.
    """

    overview: Callable[[], Deferred[Overview]]
    events_of: Callable[[str], Deferred[tuple[RecentEvent, ...]]]
    readings: Callable[[], Readings]


class StatusPage(Resource):
    """The page; `login` is the USER:PASSWORD that it asks for, empty for none."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, sources: Sources, login: str = "") -> None:
        super().__init__()
        self._sources = sources
        self._login = login

    def render_GET(self, request: Request) -> bytes | int:  # noqa: N802 - Twisted's name
        """Answer."""
        refused = refusal(
            self._login,
            request.getHost().host,
            request.clientproto.decode("ascii", "replace"),
            _fields(request),
        )
        if refused is not None:
            return _refuse(request, *refused)
        name = request.args.get(b"message", [b""])[0].decode("utf-8", "replace").strip()
        making = self._make(name[:_MAX_QUESTION])
        request.notifyFinish().addErrback(lambda _gone: making.cancel())
        making.addCallback(lambda made: _send(request, made))
        making.addErrback(lambda failure: end_with_fault(request, failure))
        return NOT_DONE_YET

    def _make(self, name: str) -> Deferred[bytes]:
        asked: Deferred[Question] = succeed(Question())
        if name:
            asked = self._sources.events_of(name).addCallbacks(
                lambda events: Question(name, events), lambda failure: _unanswered(name, failure)
            )
        return asked.addCallback(self._complete)

    def _complete(self, question: Question) -> Deferred[bytes]:
        return self._sources.overview().addCallback(
            lambda overview: page(overview, self._sources.readings(), question)
        )


def _unanswered(name: str, failure: Failure) -> Question:
    failure.trap(StoreFault)
    return Question(name, (), failure.getErrorMessage())


def _fields(request: Request) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): values[-1].decode("latin-1")
        for name, values in request.requestHeaders.getAllRawHeaders()
    }


def _refuse(request: Request, status: int, sentence: str) -> bytes:
    request.setResponseCode(status)
    if status == 401:
        request.setHeader("WWW-Authenticate", REALM)
    request.setHeader("Content-Type", "text/plain; charset=utf-8")
    return f"{sentence}\n".encode()


def _send(request: Request, made: bytes) -> None:
    for name, value in HEADERS.items():
        request.setHeader(name, value)
    request.setHeader("Content-Length", str(len(made)))
    request.write(made)
    request.finish()


def end_with_fault(request: Any, failure: Failure) -> None:
    """Answer 500 and log why; nothing of either where the client has gone meanwhile."""
    if failure.check(CancelledError):
        return  # the client has gone
    log.error(line("status", "internal error", reason=failure.getTraceback()[-2000:]))
    request.setResponseCode(500)
    request.finish()
