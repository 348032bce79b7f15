"""Requests for the status page, asked over a connection in memory."""

from collections.abc import Iterator

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.server import Site

from openclick.store import RecentEvent, StoreFault
from openclick_sidecar.metrics import Readings
from openclick_sidecar.status.overview import Overview
from openclick_sidecar.status.page import HEADERS
from openclick_sidecar.status.resource import Sources, StatusPage
from unit.samples import NOW


class Asked:
    """The page on a site of its own, and one connection to it."""

    def __init__(self, login: str = "", address: str = "127.0.0.1") -> None:
        self.overview: Deferred[Overview] = succeed(Overview(NOW))
        self.events: Deferred[tuple[RecentEvent, ...]] = succeed(())
        self.names: list[str] = []
        sources = Sources(lambda: self.overview, self._events_of, lambda: Readings(0))
        site = Site(StatusPage(sources, login))
        site.log = lambda _request: None
        self.wire = StringTransport(hostAddress=IPv4Address("TCP", address, 8026))
        self._channel = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 50_000))
        self._channel.makeConnection(self.wire)

    def _events_of(self, name: str) -> Deferred[tuple[RecentEvent, ...]]:
        self.names.append(name)
        return self.events

    def ask(self, query: str = "", method: str = "GET", fields: str = "") -> str:
        """Return the answer, as far as there is one."""
        self.wire.clear()
        lines = f"{method} /status{query} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"
        self._channel.dataReceived(lines.encode())
        return self.wire.value().decode()

    def hang_up(self) -> None:
        """End the connection."""
        self._channel.connectionLost(Failure(ConnectionDone()))


@pytest.fixture
def asked() -> Iterator[Asked]:
    """Return the page as this machine sees it."""
    opened = Asked()
    yield opened
    opened.hang_up()


def test_the_page(asked: Asked) -> None:
    """With its policy and every other field."""
    answer = asked.ask()

    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert all(f"{name}: {value}\r\n" in answer for name, value in HEADERS.items())
    assert answer.endswith("</html>\n")
    assert asked.names == []


def test_head(asked: Asked) -> None:
    """The fields alone."""
    answer = asked.ask(method="HEAD")

    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert answer.endswith("\r\n\r\n")


def test_another_method(asked: Asked) -> None:
    """The page changes nothing."""
    assert asked.ask(method="POST").startswith("HTTP/1.1 405 ")


def test_it_may_take_a_moment(asked: Asked) -> None:
    """Counting is another thread's."""
    asked.overview = Deferred()

    at_once = asked.ask()
    asked.overview.callback(Overview(NOW))

    assert at_once == ""
    assert asked.wire.value().startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_events_of_a_message(asked: Asked) -> None:
    """Its name comes from the query, as it is."""
    answer = asked.ask("?message=%3C1%40kontor.example%3E+")

    assert asked.names == ["<1@kontor.example>"]
    assert "No event of &lt;1@kontor.example&gt;." in answer


def test_a_name_beyond_all_measure(asked: Asked) -> None:
    """No name is longer than a line of mail."""
    asked.ask(f"?message={'x' * 5000}")

    assert asked.names == ["x" * 998]


def test_a_name_that_is_no_text(asked: Asked) -> None:
    """It names nothing."""
    assert asked.ask("?message=%ff%00").startswith("HTTP/1.1 200 OK\r\n")


def test_events_that_cannot_be_read(asked: Asked) -> None:
    """The rest of the page is there, and the reason."""
    asked.events = fail(StoreFault("messages.db: is locked"))

    answer = asked.ask("?message=x")

    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert "messages.db: is locked" in answer


def test_somebody_who_has_gone() -> None:
    """Nothing is sent, and nothing fails."""
    other = Asked()
    other.overview = Deferred()
    other.ask()

    other.hang_up()

    assert other.overview.called
    assert other.wire.value() == b""


def test_what_nobody_has_foreseen(asked: Asked, caplog: pytest.LogCaptureFixture) -> None:
    """500, and the traceback is in the log."""
    asked.overview = fail(RuntimeError("broken"))

    answer = asked.ask()

    assert answer.startswith("HTTP/1.1 500 ")
    assert "status: internal error" in caplog.text


def test_from_another_machine() -> None:
    """Only with a login."""
    opened = Asked(address="192.0.2.1")

    answer = opened.ask()

    assert answer.startswith("HTTP/1.1 403 ")
    assert "sidecar.status_login_file" in answer
    opened.hang_up()


def test_with_a_login() -> None:
    """A browser is told to ask for it, and then sees the page."""
    opened = Asked("admin:geheim", "192.0.2.1")

    refused = opened.ask()
    seen = opened.ask(fields="Authorization: Basic YWRtaW46Z2VoZWlt\r\n")

    assert refused.startswith("HTTP/1.1 401 ")
    assert 'WWW-Authenticate: Basic realm="OpenClick", charset="UTF-8"\r\n' in refused
    assert seen.startswith("HTTP/1.1 200 OK\r\n")
    opened.hang_up()
