"""One POST to a webhook.

The only importer of treq.  Called by `dispatcher` and `trial`.  Promises: never raises for what a
receiver or the network does, but tells it in the `Reply`; follows no redirect, keeps no cookie,
decodes no compression; the whole exchange ends within the time-out; of an answer's body only the
beginning is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

from hyperlink import EncodedURL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.error import ConnectError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent
from zope.interface import implementer

from openclick_sidecar.dialling import CheckedEndpoints, ForbiddenAddress, NameFault

EXCERPT_BYTES = 2048
_STATUS_CODES = range(100, 600)
"""RFC 9110, 15.  Twisted takes any number for one, of thousands of digits too."""
_NO_STATUS = "answered with a status outside 100 to 599"
IDLE_SECONDS = 4
"""Shorter than the five seconds after which many servers close a connection: whoever sends into
that moment gets no answer, and must take it for a failed attempt."""


class PostOutcome(StrEnum):
    """What came of a POST, as metrics count it."""

    ACCEPTED = "accepted"
    REDIRECT = "redirect"
    CLIENT_ERROR = "client_error"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    NAME = "name"
    FORBIDDEN_ADDRESS = "forbidden_address"
    CONNECT = "connect"
    TLS = "tls"
    BROKEN = "broken"


@dataclass(frozen=True)
class Reply:
    """What came of a POST: a status code, or the reason why none came.

    `excerpt` is the beginning of the body; `retry_after` the field as it stands, where there is
    one.
    """

    status_code: int | None
    error: str
    excerpt: str
    outcome: PostOutcome
    retry_after: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the receiver has taken the batch: any 2xx, and nothing else."""
        return self.outcome is PostOutcome.ACCEPTED


class Poster:
    """Posts batches over kept connections."""

    def __init__(
        self,
        reactor: Any,
        timeout_seconds: float,
        endpoints: CheckedEndpoints,
        connections_per_host: int = 4,
    ) -> None:
        self._reactor = reactor
        self._timeout_seconds = timeout_seconds
        self._pool = HTTPConnectionPool(reactor)
        self._pool.retryAutomatically = False
        self._pool.cachedConnectionTimeout = IDLE_SECONDS
        self._pool.maxPersistentPerHost = connections_per_host
        self._agent: Any = _Plain(Agent.usingEndpointFactory(reactor, endpoints, pool=self._pool))

    async def post(self, url: str, body: bytes, fields: dict[str, str]) -> Reply:
        """Post `body` to `url`."""
        exchange = Deferred.fromCoroutine(self._exchange(url, body, fields))
        exchange.addTimeout(self._timeout_seconds, self._reactor, onTimeoutCancel=_timed_out)
        try:
            return await exchange
        except DeferredTimeout:
            error = f"no whole answer within {self._timeout_seconds:g} s"
            return Reply(None, error, "", PostOutcome.TIMEOUT)
        except Exception as error:  # noqa: BLE001 - the receiver's fault, whatever it is
            inner = _innermost(error)
            return Reply(None, _reason(inner), "", _outcome_of(inner))

    def close(self) -> Deferred[None]:
        """Close the kept connections."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing

    async def _exchange(self, url: str, body: bytes, fields: dict[str, str]) -> Reply:
        # A client of its own, because it keeps the cookies that it is given.
        response = await HTTPClient(self._agent).post(
            _AsWritten.from_text(url),
            data=body,
            headers=Headers({k: [v] for k, v in fields.items()}),
            allow_redirects=False,
            unbuffered=True,
        )
        excerpt = await _beginning(response)
        if response.code not in _STATUS_CODES:
            return Reply(None, _NO_STATUS, excerpt.decode("utf-8", "replace"), PostOutcome.BROKEN)
        error = "" if 200 <= response.code < 300 else f"answered {response.code}"
        retry_after = response.headers.getRawHeaders(b"Retry-After", [None])[0]
        return Reply(
            response.code,
            error,
            excerpt.decode("utf-8", "replace"),
            _outcome_of_status(response.code),
            retry_after.decode("latin-1") if retry_after is not None else None,
        )


class _AsWritten(EncodedURL):
    """A URL that is sent as it stands: treq would take an IPv6 address for a name, and fail."""

    def to_uri(self) -> EncodedURL:
        """Return the URL, which was written as a URI when the webhook was added."""
        return self


@implementer(IAgent)
class _Plain:
    """Undoes treq's decoding of compressed answers: a few bytes can become gigabytes."""

    def __init__(self, agent: Any) -> None:
        self._agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Any = None,
        bodyProducer: Any = None,  # noqa: N803
    ) -> Deferred[Any]:
        """Ask for an answer as it is, and show it as one that is not encoded."""
        plain = headers.copy()
        plain.setRawHeaders(b"Accept-Encoding", [b"identity"])
        asked: Deferred[Any] = self._agent.request(method, uri, plain, bodyProducer)
        return asked.addCallback(_without_encoding)


def _without_encoding(response: Any) -> Any:
    response.headers.removeHeader(b"Content-Encoding")
    return response


class _Beginning(Protocol):
    """Keeps the beginning of a body and hangs up on an endless one."""

    transport: Any

    def __init__(self, done: Deferred[bytes]) -> None:
        self._done = done
        self._kept = b""

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self._kept += data[: EXCERPT_BYTES - len(self._kept)]
        if len(self._kept) >= EXCERPT_BYTES:
            self.hang_up()
            self._finish()

    def hang_up(self) -> None:
        """End the connection, however much of the body is to come."""
        if self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:  # noqa: N802
        self._finish()

    def _finish(self) -> None:
        if not self._done.called:
            self._done.callback(self._kept)


def _beginning(response: Any) -> Deferred[bytes]:
    # Cancelled by the time-out, it hangs up: a body that trickles holds no connection for ever.
    done: Deferred[bytes] = Deferred(lambda _: beginning.hang_up())
    beginning = _Beginning(done)
    response.deliverBody(beginning)
    return done


def _timed_out(_result: object, seconds: float) -> NoReturn:
    """Tell the time-out whatever the cancellation was turned into on its way up."""
    raise DeferredTimeout(seconds)


def _outcome_of_status(code: int) -> PostOutcome:
    if 200 <= code < 300:
        return PostOutcome.ACCEPTED
    by_class = {3: PostOutcome.REDIRECT, 4: PostOutcome.CLIENT_ERROR, 5: PostOutcome.SERVER_ERROR}
    return by_class.get(code // 100, PostOutcome.BROKEN)


def _outcome_of(error: BaseException) -> PostOutcome:
    """Return what kind of fault an exception is; TLS's own come from two libraries."""
    if type(error).__module__.partition(".")[0] in ("OpenSSL", "service_identity"):
        return PostOutcome.TLS
    kinds: tuple[tuple[Callable[[BaseException], bool], PostOutcome], ...] = (
        (lambda e: isinstance(e, ForbiddenAddress), PostOutcome.FORBIDDEN_ADDRESS),
        (lambda e: isinstance(e, NameFault), PostOutcome.NAME),
        (lambda e: isinstance(e, ConnectTimeout | CancelledError), PostOutcome.TIMEOUT),
        (lambda e: isinstance(e, ConnectError), PostOutcome.CONNECT),
    )
    return next((outcome for holds, outcome in kinds if holds(error)), PostOutcome.BROKEN)


def _innermost(error: BaseException) -> BaseException:
    """Dig through Twisted's wrapping of what went wrong."""
    reasons = getattr(error, "reasons", None)
    if isinstance(reasons, list) and reasons and isinstance(reasons[0], Failure):
        return _innermost(reasons[0].value or error)
    return error


def _reason(error: BaseException) -> str:
    """Say in one line what went wrong."""
    text = " ".join(str(error).split())
    if isinstance(error, ForbiddenAddress | NameFault):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
