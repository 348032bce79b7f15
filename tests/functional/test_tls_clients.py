"""Clients of every kind on the TLS listener: curl, openssl, slow, greedy and rude ones."""

import re
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.fixtures import installed
from support.https_sidecar import BROWSER, HttpsSidecar
from support.lone_sidecar import TRACKING_DOMAIN, destination
from support.processes import LOOPBACK, wait_until

PATIENCE_SECONDS = 60
PAGES = 15_000
"""Their answers take 5 MB, more than the kernel keeps for a client with a small buffer."""


@pytest.fixture(scope="module")
def running() -> Iterator[HttpsSidecar]:
    """Give a sidecar for all tests of this file."""
    with installed(HttpsSidecar) as made:
        yield made


@pytest.fixture
def sidecar(running: HttpsSidecar) -> Iterator[HttpsSidecar]:
    """Give it, and see that no connection and no traceback is left."""
    yield running
    wait_until(lambda: running.metrics()["connections"] == 0, PATIENCE_SECONDS, "the end of all")
    assert "Traceback" not in running.daemon.log_text()


@pytest.fixture
def root(sidecar: HttpsSidecar, tmp_path: Path) -> Path:
    """Give a file with the CA's certificate."""
    path = tmp_path / "root.pem"
    path.write_bytes(sidecar.ca.root_pem)
    return path


class RawClient:
    """A TLS client whose bytes on the wire are the test's to send and to read."""

    def __init__(self, sidecar: HttpsSidecar, buffer_bytes: int = 0) -> None:
        self.socket = socket.socket()
        if buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self.socket.settimeout(PATIENCE_SECONDS)
        self.socket.connect((LOOPBACK, sidecar.tls_port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = sidecar.ca.client(*BROWSER).wrap_bio(
            self._incoming, self._outgoing, server_hostname=TRACKING_DOMAIN
        )

    def written(self) -> bytes:
        """Return what is to be sent."""
        return self._outgoing.read()

    def read(self) -> bytes:
        """Return what is said next, empty at the end."""
        while True:
            try:
                return self.tls.read(65_536)
            except ssl.SSLWantReadError:
                self._receive()
            except ssl.SSLZeroReturnError:
                return b""

    def handshake(self, piece_bytes: int = 65_536) -> None:
        """Shake hands in pieces of that size; the last word is sent too."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.send_in_pieces(self.written(), piece_bytes)
                self._receive()
            else:
                self.send_in_pieces(self.written(), piece_bytes)
                return

    def send_in_pieces(self, data: bytes, piece_bytes: int) -> None:
        """Send what there is in pieces."""
        for start in range(0, len(data), piece_bytes):
            self.socket.sendall(data[start : start + piece_bytes])

    def _receive(self) -> None:
        data = self.socket.recv(65_536)
        if not data:
            raise EOFError("the server closed TCP and said nothing before")
        self._incoming.write(data)


def request(path: str, *fields: str) -> bytes:
    """Return a GET."""
    lines = (f"GET {path} HTTP/1.1", f"Host: {TRACKING_DOMAIN}", *fields, "", "")
    return "\r\n".join(lines).encode("ascii")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl(sidecar: HttpsSidecar, root: Path, version: str) -> None:
    """Follows two links on one connection."""
    base = f"https://{TRACKING_DOMAIN}:{sidecar.tls_port}"
    done = subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--max-time", str(PATIENCE_SECONDS)),
            *(f"--tlsv{version}", "--tls-max", version, "--cacert", str(root)),
            *("--resolve", f"{TRACKING_DOMAIN}:{sidecar.tls_port}:{LOOPBACK}"),
            *("--write-out", "%{http_code} %{redirect_url} %{num_connects}\n"),
            *(base + sidecar.link(1), base + sidecar.link(2)),
        ],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
        check=True,
    )

    assert [f"302 {destination(1)} 1", f"302 {destination(2)} 0"] == done.stdout.splitlines()


def test_a_session_of_openssl_is_resumed(sidecar: HttpsSidecar, root: Path, tmp_path: Path) -> None:
    """By its ticket, which travels with the answer."""
    kept = tmp_path / "session.pem"
    asked = request(sidecar.link(3), "Connection: close")

    first = openssl(sidecar, root, asked, "-sess_out", str(kept))
    second = openssl(sidecar, root, asked, "-sess_in", str(kept))

    assert "New, TLSv1.3" in first
    assert "Reused, TLSv1.3" in second
    assert f"Location: {destination(3)}" in second


def test_renegotiation_is_refused(sidecar: HttpsSidecar, root: Path) -> None:
    """It costs the server ten times what it costs the client; nobody else notices."""
    said = openssl(sidecar, root, b"R\n", "-tls1_2")

    assert "no renegotiation" in said
    assert 302 == sidecar.ask(sidecar.link(4)).status


def openssl(sidecar: HttpsSidecar, root: Path, typed: bytes, *options: str) -> str:
    """Return what `openssl s_client` shows when that is typed, to the end of the connection."""
    argv = [
        *("openssl", "s_client", "-connect", f"{LOOPBACK}:{sidecar.tls_port}"),
        *("-servername", TRACKING_DOMAIN, "-CAfile", str(root), "-alpn", "http/1.1"),
        *options,
    ]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(typed)
        running.stdin.flush()  # and stays open: an end would be said to the server at once
        shown = running.stdout.read()
    return shown.decode("utf-8", "replace")


def test_a_hello_byte_by_byte(sidecar: HttpsSidecar) -> None:
    """And a request likewise, each byte in a segment of its own."""
    client = RawClient(sidecar)
    client.handshake(piece_bytes=1)

    client.tls.write(request(sidecar.link(5), "Connection: close"))
    client.send_in_pieces(client.written(), 1)
    answer = client.read()
    client.socket.close()

    assert answer.startswith(b"HTTP/1.1 302 Found\r\n")
    assert 5 in sidecar.recorded()


def pages(sidecar: HttpsSidecar) -> float:
    """Return how many pages were served, to whomever."""
    return sum(
        number for name, number in sidecar.metrics().items() if re.match(r"requests_.*page", name)
    )


def settled(count: Callable[[], float]) -> float:
    """Return a count that has stopped for a second."""
    last, now = -1.0, count()
    while last != now:
        time.sleep(1)
        last, now = now, count()
    return now


def test_a_client_that_asks_and_does_not_read(sidecar: HttpsSidecar) -> None:
    """It is not read from either, and when it reads it finds every answer, in order."""
    client = RawClient(sidecar, buffer_bytes=4096)
    client.handshake()
    paths = ["/", "/robots.txt"] * (PAGES // 2)
    for path in paths:
        client.tls.write(request(path))
    client.tls.write(request("/", "Connection: close"))
    sending = threading.Thread(target=client.send_in_pieces, args=(client.written(), 65_536))
    sending.start()
    served = settled(lambda: pages(sidecar))

    received = b"".join(iter(client.read, b""))
    sending.join(PATIENCE_SECONDS)
    client.socket.close()

    answers = received.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert 100 < served < PAGES
    assert PAGES + 1 == len(answers)
    assert [path == "/robots.txt" for path in [*paths, "/"]] == [
        b"User-agent" in answer for answer in answers
    ]


def test_the_last_answer_is_not_lost_to_a_reset(sidecar: HttpsSidecar) -> None:
    """Whoever goes on sending after the last request still gets its answer, and then the end."""
    client = RawClient(sidecar)
    client.handshake()

    client.tls.write(request(sidecar.link(6), "Connection: close"))
    client.tls.write(b"x" * 100_000)
    client.socket.sendall(client.written())
    time.sleep(0.5)
    client.tls.write(b"x" * 10_000)
    client.socket.sendall(client.written())
    answer = b"".join(iter(client.read, b""))
    client.socket.close()

    assert answer.startswith(b"HTTP/1.1 302 Found\r\n")
    assert answer.count(b"HTTP/1.1") == 1


def test_an_end_in_good_order(sidecar: HttpsSidecar) -> None:
    """A client that says that it hangs up is told the same, and then TCP is closed."""
    client = RawClient(sidecar)
    client.handshake()

    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    client.socket.sendall(client.written())
    last = client.read()
    closed = client.socket.recv(100)
    client.socket.close()

    assert (b"", b"") == (last, closed)


@pytest.mark.parametrize("reset", [False, True])
def test_rude_ends(sidecar: HttpsSidecar, reset: bool) -> None:
    """Closed or reset, silent, in the hello, after the handshake, with a request under way."""
    clients = [RawClient(sidecar) for _ in range(4)]
    clients[1].socket.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    for client in clients[2:]:
        client.handshake()
    clients[3].tls.write(request(sidecar.link(7)))
    clients[3].socket.sendall(clients[3].written())

    for client in clients:
        if reset:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()

    wait_until(lambda: sidecar.metrics()["connections"] == 0, PATIENCE_SECONDS, "four places")
    assert 302 == sidecar.ask(sidecar.link(8)).status


def test_noise(sidecar: HttpsSidecar) -> None:
    """Before the handshake and after it: an alert or nothing, then the end."""
    early, late = RawClient(sidecar), RawClient(sidecar)
    late.handshake()
    for client in (early, late):
        client.socket.sendall(b"\x17\x03\x03\x00\x20" + b"\xff" * 32)

    with pytest.raises(ssl.SSLError, match=r"(?i)bad.record.mac"):
        late.read()
    assert not early.socket.recv(10_000).startswith(b"\x17")
    for client in (early, late):
        client.socket.close()

    assert 302 == sidecar.ask(sidecar.link(9)).status
