"""The API's edge: twisted.web's Site, with bounds on bodies, request ids and an access log.

Made by `service`.  Promises: a body beyond MAX_BODY_BYTES is not kept, and answered with 413; one
beyond MAX_READ_BYTES is not read to its end; every answer names its request in Anypost-Request-Id,
and so does the one log line about it.

Limits: no streaming; a body is read whole before anything is looked at.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from openclick.logs import line
from openclick_sidecar.api.answers import JSON_TYPE, Answer, of_fault
from openclick_sidecar.api.faults import ApiFault
from openclick_sidecar.api.router import Call, Router
from openclick_sidecar.judging import detach

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 5_000_000
MAX_READ_BYTES = 50_000_000
REQUEST_ID = "Anypost-Request-Id"
_IDLE_SECONDS = 60
_STATUS_PATH = b"/status"


class ApiRequest(Request):
    """A request whose body is bounded.

    What Twisted would make of a form is of no use here and costs memory, so it does not get to see
    the content type: a body is JSON, whatever its sender calls it.
    """

    read_bytes = 0

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """Make room for a body; a large one goes to a temporary file."""
        super().gotLength(None if length is None else min(length, MAX_BODY_BYTES))

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Keep a piece of the body, unless there is too much of it."""
        self.read_bytes += len(data)
        if self.read_bytes <= MAX_BODY_BYTES:
            super().handleContentChunk(data)
        elif self.read_bytes > MAX_READ_BYTES and self.channel is not None:
            channel: Any = self.channel
            channel.transport.abortConnection()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802
        """Begin to answer."""
        self.requestHeaders.removeHeader(b"content-type")
        super().requestReceived(command, path, version)


class ApiSite(Site):
    """The listener's factory; `status_page` is for people, and looks after itself."""

    def __init__(
        self,
        router: Router,
        reactor: Any,
        new_request_id: Callable[[], str],
        status_page: Resource | None = None,
    ) -> None:
        self.pages = _Pages(router, new_request_id, status_page)
        super().__init__(self.pages, requestFactory=ApiRequest, reactor=reactor)
        self.timeOut = _IDLE_SECONDS

    @property
    def under_way(self) -> int:
        """How many requests are not answered yet."""
        return self.pages.under_way

    def log(self, request: HttpRequest) -> None:
        """Write no line of Twisted's: ours has the request id."""


class _Pages(Resource):
    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(
        self, router: Router, new_request_id: Callable[[], str], status_page: Resource | None
    ) -> None:
        super().__init__()
        self._status_page = status_page
        self._router = router
        self._new_request_id = new_request_id
        self.under_way = 0

    def render(self, request: Request) -> bytes | int:
        """Have one request answered, by whatever method."""
        assert isinstance(request, ApiRequest)
        if self._status_page is not None and request.path == _STATUS_PATH:
            shown: bytes | int = self._status_page.render(request)
            return shown
        self.under_way += 1
        detach("api", Deferred.fromCoroutine(self._answer(request)))
        return NOT_DONE_YET

    async def _answer(self, request: ApiRequest) -> None:
        began_at = time.monotonic()
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        try:
            call = self._call(request)
            if request.read_bytes > MAX_BODY_BYTES:
                answer = of_fault(_too_large())
                request.setHeader("Connection", "close")
            else:
                answer = await self._router.answer(call)
            if not gone:
                _send(request, call, answer)
        finally:
            self.under_way -= 1
        _log(request, call, answer, time.monotonic() - began_at)

    def _call(self, request: ApiRequest) -> Call:
        path, _, query = request.uri.partition(b"?")
        content: Any = request.content
        return Call(
            request_id=self._new_request_id(),
            method=request.method.decode("latin-1"),
            path=path.decode("latin-1"),
            query_text=query.decode("latin-1"),
            headers={
                name.decode("latin-1").lower(): values[-1].decode("latin-1")
                for name, values in request.requestHeaders.getAllRawHeaders()
            },
            body=content.read() if request.read_bytes <= MAX_BODY_BYTES else b"",
        )


def _too_large() -> ApiFault:
    return ApiFault(
        413, "payload_too_large", f"A body may have {MAX_BODY_BYTES:,} bytes; nothing was done."
    )


def _send(request: ApiRequest, call: Call, answer: Answer) -> None:
    request.setResponseCode(answer.status)
    request.setHeader(REQUEST_ID, call.request_id)
    request.setHeader("Server", "openclick")
    request.setHeader("Cache-Control", "no-store")
    for name, value in answer.headers.items():
        request.setHeader(name, value)
    if answer.status != 204:
        request.setHeader("Content-Type", JSON_TYPE)
        request.setHeader("Content-Length", str(len(answer.body)))
    if answer.body and call.method != "HEAD":
        request.write(answer.body)
    request.finish()


def _log(request: ApiRequest, call: Call, answer: Answer, seconds: float) -> None:
    key = call.maybe_key
    log.info(
        line(
            call.request_id,
            "answered",
            method=call.method,
            path=call.path,
            status=answer.status,
            key=key.key_id if key else None,
            client=getattr(request.getClientAddress(), "host", None),
            body_bytes=request.read_bytes,
            seconds=f"{seconds:.3f}",
        )
    )
