"""One POST to a webhook.

The only importer of treq.  Called by `dispatcher`.  Promises: never raises for what a receiver or
the network does, but tells it in the `Reply`; follows no redirect; the whole exchange ends within
the time-out; of an answer's body only the beginning is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseFailed
from twisted.web.http_headers import Headers

EXCERPT_BYTES = 512
_IDLE_SECONDS = 30


@dataclass(frozen=True)
class Reply:
    """What came of a POST: a status code, or the reason why none came."""

    status_code: int | None
    error: str
    excerpt: str

    @property
    def accepted(self) -> bool:
        """Whether the receiver has taken the batch: any 2xx, and nothing else."""
        return self.status_code is not None and 200 <= self.status_code < 300


class Poster:
    """Posts batches over kept connections."""

    def __init__(self, reactor: Any, timeout_seconds: float) -> None:
        self._reactor = reactor
        self._timeout_seconds = timeout_seconds
        self._pool = HTTPConnectionPool(reactor)
        self._pool.retryAutomatically = False
        self._pool.cachedConnectionTimeout = _IDLE_SECONDS
        agent: Any = Agent(reactor, connectTimeout=timeout_seconds, pool=self._pool)
        self._client = HTTPClient(agent)

    async def post(self, url: str, body: bytes, fields: dict[str, str]) -> Reply:
        """Post `body` to `url`."""
        exchange = Deferred.fromCoroutine(self._exchange(url, body, fields))
        exchange.addTimeout(self._timeout_seconds, self._reactor, onTimeoutCancel=_timed_out)
        try:
            return await exchange
        except DeferredTimeout:
            return Reply(None, f"no whole answer within {self._timeout_seconds:g} s", "")
        except Exception as error:  # noqa: BLE001 - the receiver's fault, whatever it is
            return Reply(None, _reason(error), "")

    def close(self) -> Deferred[None]:
        """Close the kept connections."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing

    async def _exchange(self, url: str, body: bytes, fields: dict[str, str]) -> Reply:
        response = await self._client.post(
            url,
            data=body,
            headers=Headers({k: [v] for k, v in fields.items()}),
            allow_redirects=False,
            unbuffered=True,
        )
        excerpt = await _beginning(response)
        error = "" if 200 <= response.code < 300 else f"answered {response.code}"
        return Reply(response.code, error, excerpt.decode("utf-8", "replace"))


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


def _reason(error: Exception) -> str:
    """Say in one line what went wrong, digging through Twisted's wrapping."""
    if isinstance(error, ResponseFailed) and error.reasons:
        inner = error.reasons[0].value
        return f"{type(inner).__name__}: {inner}" if str(inner) else type(inner).__name__
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
