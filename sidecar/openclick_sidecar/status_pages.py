"""/status, /metrics, /healthz, /readyz and /tls-ask, on a listener of their own.

Made by `service`.  But for /status, which says itself who may see it, nothing here is secret from
whoever may reach the listener, which is why it is loopback by default.

    /status    the status page, for people
    /metrics   the numbers, for Prometheus
    /healthz   200 while the process goes round: for whoever would restart it
    /readyz    200, or 503 with one reason a line: for whoever would send traffic elsewhere
    /tls-ask   200 where the tracking domain ?domain= may have a certificate, else 403: for Caddy

Limits: twisted.web's own Site, whose cost does not matter at one request in some seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from openclick.logs import line
from openclick_sidecar.metrics import CONTENT_TYPE, Readings, exposition

log = logging.getLogger(__name__)

_PLAIN = "text/plain; charset=utf-8"

Checks = Callable[[], list[str]]
"""Returns why hits cannot be served as promised; an empty list is well."""


class StatusSite(Site):
    """The pages.  `read` takes all numbers, which may need a moment.

    `may_have_certificate` is asked for a name as it comes from a stranger's TLS hello.
    """

    def __init__(
        self,
        read: Callable[[], Deferred[Readings]],
        checks: Checks,
        may_have_certificate: Callable[[str], bool] = lambda _name: False,
        status: Resource | None = None,
    ) -> None:
        super().__init__(_Pages(read, checks, may_have_certificate, status))

    def log(self, request: Request) -> None:
        """Write no access log: a scrape every few seconds is no news."""


class _Pages(Resource):
    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(
        self,
        read: Callable[[], Deferred[Readings]],
        checks: Checks,
        may_have_certificate: Callable[[str], bool],
        status: Resource | None,
    ) -> None:
        super().__init__()
        self._status = status
        self._read = read
        self._checks = checks
        self._may_have_certificate = may_have_certificate

    def render_GET(self, request: Request) -> bytes | int:  # noqa: N802 - Twisted's name
        """Answer one of the pages."""
        if request.path == b"/status" and self._status is not None:
            shown: bytes | int = self._status.render(request)
            return shown
        if request.path == b"/metrics":
            numbers = self._read()
            request.notifyFinish().addErrback(lambda _gone: numbers.cancel())
            numbers.addCallback(lambda found: _send(request, found))
            numbers.addErrback(lambda failure: _fail(request, failure))
            return NOT_DONE_YET
        if request.path == b"/healthz":
            return _page(request, 200, "ok\n")
        if request.path == b"/readyz":
            reasons = self._checks()
            return _page(request, 503 if reasons else 200, "\n".join(reasons or ["ready"]) + "\n")
        if request.path == b"/tls-ask":
            name = request.args.get(b"domain", [b""])[0].decode("utf-8", "replace")
            may = self._may_have_certificate(name)
            return _page(request, 200 if may else 403, "yes\n" if may else "no\n")
        return _page(request, 404, "There are /status, /metrics, /healthz, /readyz and /tls-ask.\n")


def _send(request: Request, readings: Readings) -> None:
    request.setHeader("Content-Type", CONTENT_TYPE)
    request.write(exposition(readings))
    request.finish()


def _fail(request: Request, failure: Failure) -> None:
    if failure.check(CancelledError):
        return  # the client has gone
    log.error(line("metrics", "internal error", reason=failure.getTraceback()[-2000:]))
    request.setResponseCode(500)
    request.finish()


def _page(request: Request, status: int, text: str) -> bytes:
    request.setResponseCode(status)
    request.setHeader("Content-Type", _PLAIN)
    return text.encode("utf-8")
