"""/metrics, /healthz and /readyz, asked over a connection in memory."""

from collections.abc import Iterator

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from openclick_sidecar.metrics import Readings
from openclick_sidecar.status_pages import StatusSite

READINGS = Readings(0, connections=7)


class Pages:
    """A status site, and one connection to it."""

    def __init__(self) -> None:
        self.readings: Deferred[Readings] = succeed(READINGS)
        self.reasons: list[str] = []
        self.store_reasons: Deferred[list[str]] = succeed([])
        names = {"track.kontor.example"}
        site = StatusSite(
            lambda: self.readings,
            lambda: self.reasons,
            lambda: self.store_reasons,
            names.__contains__,
        )
        self.wire = StringTransport()
        self._channel = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 50_000))
        self._channel.makeConnection(self.wire)

    def ask(self, path: str, method: str = "GET") -> str:
        """Return the answer, as far as there is one."""
        self.wire.clear()
        self._channel.dataReceived(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return self.wire.value().decode()

    def hang_up(self) -> None:
        """End the connection."""
        self._channel.connectionLost(Failure(ConnectionDone()))


@pytest.fixture
def pages() -> Iterator[Pages]:
    """Return pages where all is well."""
    opened = Pages()
    yield opened
    opened.hang_up()


def test_metrics(pages: Pages) -> None:
    """In Prometheus' content type; no line of them is in a log."""
    answer = pages.ask("/metrics")

    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n" in answer
    assert "openclick_sidecar_connections 7.0\n" in answer


def test_metrics_that_need_a_moment(pages: Pages) -> None:
    """The milter's numbers are read in another thread."""
    pages.readings = Deferred()

    at_once = pages.ask("/metrics")
    pages.readings.callback(READINGS)

    assert at_once == ""
    assert "openclick_sidecar_connections 7.0\n" in pages.wire.value().decode()


def test_metrics_for_somebody_who_has_gone(pages: Pages) -> None:
    """Nothing is sent, and nothing fails."""
    other = Pages()
    other.readings = Deferred()
    other.ask("/metrics")

    other.hang_up()

    assert other.readings.called
    assert other.wire.value() == b""


def test_metrics_that_cannot_be_read(pages: Pages, caplog: pytest.LogCaptureFixture) -> None:
    """500, and a line that says why."""
    pages.readings = Deferred()
    pages.ask("/metrics")

    pages.readings.errback(Failure(RuntimeError("broken")))

    assert pages.wire.value().startswith(b"HTTP/1.1 500 ")
    assert ["status: internal error"] == [
        record.getMessage().partition(" reason=")[0] for record in caplog.records
    ]


def test_health(pages: Pages) -> None:
    """Whoever gets this far gets 200."""
    pages.reasons = ["hits: the recorder has ended"]

    answer = pages.ask("/healthz")

    assert answer.startswith("HTTP/1.1 200 OK\r\n")


def test_ready(pages: Pages) -> None:
    """200 while nothing speaks against it."""
    answer = pages.ask("/readyz")

    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert answer.endswith("\r\n\r\nready\n")


def test_not_ready(pages: Pages) -> None:
    """503, one reason a line."""
    pages.reasons = ["keys: none", "hits: the recorder has ended"]

    answer = pages.ask("/readyz")

    assert answer.startswith("HTTP/1.1 503 ")
    assert answer.endswith("\r\n\r\nkeys: none\nhits: the recorder has ended\n")


def test_not_ready_for_the_stores_sake(pages: Pages) -> None:
    """Read in another thread; what speaks against hits is told too."""
    pages.reasons = ["keys: none"]
    pages.store_reasons = Deferred()

    at_once = pages.ask("/readyz")
    pages.store_reasons.callback(["milter: has never run on this store"])

    assert at_once == ""
    answer = pages.wire.value().decode()
    assert answer.startswith("HTTP/1.1 503 ")
    assert answer.endswith("keys: none\nmilter: has never run on this store\n")


def test_ready_for_hits(pages: Pages) -> None:
    """Links need neither store nor milter, so readers must not be sent elsewhere for those."""
    pages.store_reasons = succeed(["store: no answer within 5 s"])

    answer = pages.ask("/readyz/hits")

    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert answer.endswith("\r\n\r\nready\n")


def test_not_ready_for_hits(pages: Pages) -> None:
    """503, one reason a line."""
    pages.reasons = ["keys: none"]

    assert pages.ask("/readyz/hits").startswith("HTTP/1.1 503 ")


def test_readiness_for_somebody_who_has_gone() -> None:
    """Nothing is sent, and nothing fails."""
    other = Pages()
    other.store_reasons = Deferred()
    other.ask("/readyz")

    other.hang_up()

    assert other.store_reasons.called
    assert other.wire.value() == b""


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?domain=track.kontor.example", 200),
        ("?domain=fremd.example", 403),
        ("?domain=", 403),
        ("", 403),
        ("?name=track.kontor.example", 403),
        ("?domain=%ff%00", 403),
    ],
)
def test_whether_a_proxy_may_order_a_certificate(pages: Pages, query: str, status: int) -> None:
    """Caddy asks so; anything but 2xx refuses."""
    assert pages.ask(f"/tls-ask{query}").startswith(f"HTTP/1.1 {status} ")


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/", "GET", 404), ("/metrics", "POST", 405)]
)
def test_nothing_else(pages: Pages, path: str, method: str, status: int) -> None:
    """No other page, no other method."""
    assert pages.ask(path, method).startswith(f"HTTP/1.1 {status} ")


def test_head(pages: Pages) -> None:
    """As load balancers ask."""
    answer = pages.ask("/readyz", "HEAD")

    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert answer.endswith("\r\n\r\n")
