"""The end of a sidecar, and a rotation in the midst of its life: no answered hit is lost."""

import http.client
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from support.fixtures import installed
from support.http_client import fetch
from support.lone_sidecar import TRACKING_DOMAIN, LoneSidecar, destination
from support.processes import LOOPBACK, wait_until

HOST = {"Host": TRACKING_DOMAIN}
CLIENTS = 8


@pytest.fixture
def sidecar() -> Iterator[LoneSidecar]:
    """Give a running sidecar."""
    with installed(LoneSidecar) as running:
        yield running


class Load:
    """Clients that follow links over kept connections, each link once, until the server goes."""

    def __init__(self, port: int, links: dict[int, str]) -> None:
        self._port = port
        self._links = iter(links.items())
        self._lock = threading.Lock()
        self.answered: set[int] = set()
        self.broken: list[str] = []
        self._threads = [threading.Thread(target=self._follow) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until every client has seen the end."""
        for thread in self._threads:
            thread.join(60)

    def _next(self) -> tuple[int, str] | None:
        with self._lock:
            return next(self._links, None)

    def _follow(self) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=30)
        while item := self._next():
            number, path = item
            try:
                connection.request("GET", path, headers=HOST)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                break  # not answered: nothing was promised
            if answer.status != 302 or answer.getheader("Location") != destination(number):
                self.broken.append(f"{number}: {answer.status}")
            self.answered.add(number)
        connection.close()


def test_sigterm_under_load(sidecar: LoneSidecar) -> None:
    """What was answered is on disk, every answer was whole, and the end comes in time."""
    load = Load(sidecar.port, sidecar.links(range(30_000)))
    wait_until(lambda: len(load.answered) > 300, 20, "load")

    status = sidecar.daemon.terminate(timeout=12)
    load.join()

    assert 0 == status
    assert [] == load.broken
    assert len(load.answered) > 300
    assert load.answered <= set(sidecar.recorded())


def test_requests_that_arrived_before_sigterm_are_answered(sidecar: LoneSidecar) -> None:
    """They lie in the kernel, unread, when the signal comes."""
    peers = [socket.create_connection((LOOPBACK, sidecar.port), 15) for _ in range(20)]
    wait_until(lambda: sidecar.metrics()["connections"] == 20, 10, "twenty connections")
    sidecar.daemon.signal(signal.SIGSTOP)
    for number, peer in enumerate(peers):
        path = sidecar.link(number)
        peer.sendall(f"GET {path} HTTP/1.1\r\nHost: {TRACKING_DOMAIN}\r\n\r\n".encode())

    sidecar.daemon.signal(signal.SIGTERM)
    sidecar.daemon.signal(signal.SIGCONT)
    answers = [_all_of(peer) for peer in peers]

    assert 0 == sidecar.daemon.wait(15)
    assert [True] * 20 == [answer.startswith(b"HTTP/1.1 302 ") for answer in answers]
    assert all(b"Connection: close\r\n" in answer for answer in answers)
    assert set(range(20)) == set(sidecar.recorded())


def _all_of(peer: socket.socket) -> bytes:
    received = bytearray()
    with peer:
        while chunk := peer.recv(65_536):
            received += chunk
    return bytes(received)


def test_idle_and_stubborn_clients_do_not_hold_the_end_up(sidecar: LoneSidecar) -> None:
    """A kept connection, one in the middle of a header, and one that never takes its answers."""
    kept, writing, deaf = (socket.create_connection((LOOPBACK, sidecar.port), 15) for _ in range(3))
    kept.sendall(f"GET / HTTP/1.1\r\nHost: {TRACKING_DOMAIN}\r\n\r\n".encode())
    writing.sendall(b"GET / HT")
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 300)
    kept.recv(10_000)

    sidecar.daemon.signal(signal.SIGTERM)
    ends = (kept.recv(1000), writing.recv(1000))
    status = sidecar.daemon.wait(15)
    for peer in (kept, writing, deaf):
        peer.close()

    assert (b"", b"") == ends
    assert 0 == status


def test_systemd_is_told(sidecar: LoneSidecar) -> None:
    """READY=1 once the ports are open, WATCHDOG=1 while it goes round, STOPPING=1 at the end."""
    sidecar.daemon.terminate()
    path = str(sidecar.installation.directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        os.chmod(path, 0o666)
        listening.settimeout(10)
        sidecar.installation.extra_env = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "500000"}

        daemon = sidecar.installation.start_sidecar()
        ready, beats = listening.recv(100), [listening.recv(100) for _ in range(3)]
        daemon.terminate()
        last = beats[-1]
        while last == b"WATCHDOG=1":
            last = listening.recv(100)

    assert {b"READY=1", b"WATCHDOG=1"} == {ready, *beats}
    assert b"STOPPING=1" == last


def test_rotation_under_load(sidecar: LoneSidecar) -> None:
    """No link breaks, old or new, and no daemon is restarted."""
    load = Load(sidecar.port, sidecar.links(range(3000)))

    fresh = []
    for number in range(3):
        sidecar.installation.openclick("keys", "rotate")
        time.sleep(1.1)  # the directory is read at most once a second
        link = sidecar.link(100_000 + number)
        fresh.append(fetch(f"http://{TRACKING_DOMAIN}{link}", (LOOPBACK, sidecar.port)).status)
    load.join()

    assert [302] * 3 == fresh
    assert [] == load.broken
    assert 3000 == len(load.answered)
    assert load.answered <= set(sidecar.recorded())
    assert sidecar.daemon.running
