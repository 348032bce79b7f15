"""/status, /metrics, /healthz, /readyz and /tls-ask, on a listener of their own.

Made by `service`.  But for /status, which says itself who may see it, nothing here is secret from
whoever may reach the listener, which is why it is loopback by default.

    /status    the status page, for people
    /metrics   the numbers, for Prometheus
    /healthz   200 while the process goes round: for whoever would restart it
    /readyz    200, or 503 with one reason a line: whether this machine tracks as promised
    /readyz/hits  the same of links and images alone, which need neither store nor milter: for
               whoever would send readers elsewhere
    /tls-ask   200 where the tracking domain ?domain= may have a certificate, else 403: for Caddy

Limits: twisted.web's own Site, whose cost does not matter at one request in some seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from openclick_sidecar.metrics import CONTENT_TYPE, Readings, exposition
from openclick_sidecar.status.resource import end_with_fault

T = TypeVar("T")

_PLAIN = "text/plain; charset=utf-8"

Checks = Callable[[], list[str]]
"""Returns why hits cannot be served as promised; an empty list is well."""

StoreChecks = Callable[[], Deferred[list[str]]]
"""Returns why mail cannot be tracked as promised, within a bound; an empty list is well."""


class StatusSite(Site):
    """The pages.  `read` takes all numbers, which may need a moment.

    `may_have_certificate` is asked for a name as it comes from a stranger's TLS hello.
    """

    def __init__(
        self,
        read: Callable[[], Deferred[Readings]],
        checks: Checks,
        store_checks: StoreChecks,
        may_have_certificate: Callable[[str], bool] = lambda _name: False,
        status: Resource | None = None,
    ) -> None:
        super().__init__(_Pages(read, checks, store_checks, may_have_certificate, status))

    def log(self, request: Request) -> None:
        """Write no access log: a scrape every few seconds is no news."""


class _Pages(Resource):
    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(
        self,
        read: Callable[[], Deferred[Readings]],
        checks: Checks,
        store_checks: StoreChecks,
        may_have_certificate: Callable[[str], bool],
        status: Resource | None,
    ) -> None:
        super().__init__()
        self._status = status
        self._read = read
        self._checks = checks
        self._store_checks = store_checks
        self._may_have_certificate = may_have_certificate
        self._answers: dict[bytes, Callable[[Request], bytes | int]] = {
            b"/status": self._status_page,
            b"/metrics": self._metrics,
            b"/healthz": self._health,
            b"/readyz": self._readiness,
            b"/readyz/hits": self._readiness_for_hits,
            b"/tls-ask": self._tls_ask,
        }

    def render_GET(self, request: Request) -> bytes | int:  # noqa: N802 - Twisted's name
        """Answer one of the pages."""
        answer = self._answers.get(request.path, _nothing)
        return answer(request)

    def _status_page(self, request: Request) -> bytes | int:
        if self._status is None:
            return _nothing(request)
        shown: bytes | int = self._status.render(request)
        return shown

    def _metrics(self, request: Request) -> int:
        return _later(request, self._read(), lambda found: _send(request, found))

    def _health(self, request: Request) -> bytes:
        return _page(request, 200, "ok\n")

    def _readiness(self, request: Request) -> int:
        return _later(
            request,
            self._store_checks(),
            lambda found: _write(request, _ready(request, [*self._checks(), *found])),
        )

    def _readiness_for_hits(self, request: Request) -> bytes:
        return _ready(request, self._checks())

    def _tls_ask(self, request: Request) -> bytes:
        name = request.args.get(b"domain", [b""])[0].decode("utf-8", "replace")
        may = self._may_have_certificate(name)
        return _page(request, 200 if may else 403, "yes\n" if may else "no\n")


def _nothing(request: Request) -> bytes:
    return _page(request, 404, "There are /status, /metrics, /healthz, /readyz and /tls-ask.\n")


def _later(request: Request, asked: Deferred[T], send: Callable[[T], None]) -> int:
    """Answer once it is known what was asked for, unless the client has gone by then."""
    request.notifyFinish().addErrback(lambda _gone: asked.cancel())
    asked.addCallback(send)
    asked.addCallbacks(
        lambda _sent: request.finish(), lambda failure: end_with_fault(request, failure)
    )
    return int(NOT_DONE_YET)


def _send(request: Request, readings: Readings) -> None:
    request.setHeader("Content-Type", CONTENT_TYPE)
    _write(request, exposition(readings))


def _write(request: Request, body: bytes) -> None:
    request.setHeader("Content-Length", str(len(body)))
    request.write(body)


def _ready(request: Request, reasons: list[str]) -> bytes:
    return _page(request, 503 if reasons else 200, "\n".join(reasons or ["ready"]) + "\n")


def _page(request: Request, status: int, text: str) -> bytes:
    request.setResponseCode(status)
    request.setHeader("Content-Type", _PLAIN)
    return text.encode("utf-8")
