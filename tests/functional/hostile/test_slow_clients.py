"""Many clients, slow ones and loud ones: the caps hold, and the log stays quiet."""

import contextlib
import resource
import socket
import time
from collections.abc import Iterator

import pytest

from functional.hostile.raw_requests import GOOD, HOST, LAST, lone_sidecar
from openclick_sidecar.channel import HEADER_SECONDS
from support.http_client import raw_request
from support.lone_sidecar import LoneSidecar
from support.processes import LOOPBACK, wait_until

LORIS_ADDRESSES = [f"127.1.0.{number}" for number in range(1, 26)]
LORIS_PER_ADDRESS = 40
CAP_PER_ADDRESS = 30


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Let this process hold as many sockets as a thousand clients need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class SlowClient:
    """Sends a header that never ends, a byte at a time."""

    def __init__(self, source: str, port: int) -> None:
        self._socket = socket.create_connection((LOOPBACK, port), 10, (source, 0))
        self._socket.setblocking(False)
        self._header = iter(b"GET /c/x HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 1000)
        self.gone = False

    def trickle(self) -> None:
        """Send one byte more, and notice the end."""
        try:
            self._socket.send(bytes([next(self._header)]))
            self.gone = self.gone or self._socket.recv(100) == b""
        except BlockingIOError:
            return
        except OSError:
            self.gone = True

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@pytest.mark.usefixtures("many_descriptors")
def test_a_thousand_slow_clients() -> None:
    """Good clients keep being answered, the caps hold, and the slow ones are cut in time.

    From 25 addresses, 40 connections each, of which 30 an address are let in.
    """
    with (
        lone_sidecar(max_connections_per_address=CAP_PER_ADDRESS) as sidecar,
        contextlib.ExitStack() as held,
    ):
        slow = [
            held.enter_context(contextlib.closing(SlowClient(source, sidecar.port)))
            for source in LORIS_ADDRESSES
            for _ in range(LORIS_PER_ADDRESS)
        ]
        began_at = time.monotonic()
        let_in = len(LORIS_ADDRESSES) * CAP_PER_ADDRESS
        most, good = 0.0, []

        while not all(client.gone for client in slow):
            assert time.monotonic() < began_at + HEADER_SECONDS + 10, "slow clients are still there"
            for client in slow:
                if not client.gone:
                    client.trickle()
            good.append(sidecar.click(len(good)).status)
            most = max(most, sidecar.metrics()["connections"])
            time.sleep(0.05)  # so that no header is used up before its deadline
        counted = sidecar.metrics()

        assert set(good) == {302}
        assert len(good) >= 5
        assert let_in <= most <= let_in + 1
        assert len(slow) - let_in == counted['refused_connections_total{cap="address"}']
        assert let_in == counted["late_connections_total"]
        assert set(range(len(good))) == set(sidecar.recorded())


def test_the_cap_in_all() -> None:
    """The one too many is closed at once; when somebody leaves, the next one is let in."""
    with lone_sidecar(max_connections=5) as sidecar:
        held = [socket.create_connection((LOOPBACK, sidecar.port), 10) for _ in range(5)]
        wait_until(lambda: sidecar.metrics()["connections"] == 5, 10, "five connections")

        refused = raw_request(sidecar.port, GOOD)
        held.pop().close()
        answered = wait_until(lambda: raw_request(sidecar.port, LAST), 10, "an answer")
        for each in held:
            each.close()

        assert b"" == refused
        assert answered.startswith(b"HTTP/1.1 200 ")
        assert sidecar.metrics()['refused_connections_total{cap="total"}'] >= 1


def test_fuzzed_fields_make_no_log_line(sidecar: LoneSidecar) -> None:
    """What strangers send is quoted nowhere raw, and fills no log."""
    before = sidecar.daemon.log_text()
    for number in range(100, 120):
        sidecar.click(number, User_Agent=f"\x1b[31m{number}\u202e".encode().decode("latin-1"))
    raw_request(sidecar.port, b"\x1b]0;evil\x07 / HTTP/1.1\r\n\r\n")

    after = sidecar.daemon.log_text()[len(before) :]

    assert "" == after
