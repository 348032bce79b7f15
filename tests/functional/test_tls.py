"""The TLS listener as browsers, strangers and admins meet it."""

import contextlib
import dataclasses
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from support.authority import replace
from support.fixtures import installed
from support.http_client import fetch
from support.https_sidecar import BROWSER, HttpsSidecar
from support.lone_sidecar import TRACKING_DOMAIN, destination
from support.processes import LOOPBACK, free_port, wait_until

OTHER = "links.andere.example"
STRANGERS_A_SECOND = 200
PARENT = """
import os, socket, sys
bound = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(bound.detach(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "tls"}
os.execvp(sys.argv[2], sys.argv[2:])
"""


def https_sidecar(**settings: object) -> HttpsSidecar:
    """Return a sidecar that is not started yet."""
    return installed(HttpsSidecar, **settings)


@pytest.fixture
def sidecar() -> Iterator[HttpsSidecar]:
    """Give a running one."""
    with https_sidecar() as running:
        yield running


def test_a_click_over_https(sidecar: HttpsSidecar) -> None:
    """Recorded before it is answered, with the client's own address."""
    with sidecar.connect() as peer:
        chosen = peer.selected_alpn_protocol()
    answer = sidecar.ask(sidecar.link(1))

    assert "http/1.1" == chosen
    assert (302, destination(1)) == (answer.status, answer.header("location"))
    assert {1: LOOPBACK} == sidecar.recorded()


def test_many_requests_of_one_connection(sidecar: HttpsSidecar) -> None:
    """Kept, pipelined, in order."""
    links = sidecar.links(range(20))
    requests = [f"GET {path} HTTP/1.1\r\nHost: {TRACKING_DOMAIN}\r\n" for path in links.values()]
    requests[-1] += "Connection: close\r\n"
    with sidecar.connect() as peer:
        peer.sendall("".join(f"{each}\r\n" for each in requests).encode())
        received = b"".join(iter(lambda: peer.recv(65_536), b""))

    places = [received.find(f"Location: {destination(n)}\r\n".encode()) for n in range(20)]
    assert 20 == received.count(b"HTTP/1.1 302 Found\r\n")
    assert sorted(places) == places
    assert -1 not in places


def test_http_beside_https(sidecar: HttpsSidecar) -> None:
    """Both answer; what speaks the wrong one gets nothing and harms nobody."""
    plain = (LOOPBACK, sidecar.port)
    with pytest.raises(OSError, match=r"SSL|timed out"):
        fetch(f"https://{TRACKING_DOMAIN}/", plain, tls=sidecar.ca.client(), timeout=2)
    with (
        contextlib.suppress(ConnectionResetError),
        socket.create_connection((LOOPBACK, sidecar.tls_port), 10) as plain,
    ):
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not plain.recv(100).startswith(b"HTTP")

    assert 302 == sidecar.click(1).status
    assert 302 == sidecar.ask(sidecar.link(2)).status
    assert "Traceback" not in sidecar.daemon.log_text()


def test_a_socket_from_systemd() -> None:
    """FileDescriptorName=tls is the TLS listener; what the settings say is not bound."""
    sidecar = https_sidecar()
    inherited = free_port()
    programs = sidecar.installation.programs
    words = (sys.executable, "-c", PARENT, str(inherited))
    sidecar.installation.programs = dataclasses.replace(
        programs, sidecar=(*words, *programs.sidecar)
    )
    with sidecar:
        bound = socket.create_server((LOOPBACK, sidecar.tls_port))
        bound.close()
        sidecar.tls_port = inherited
        answer = sidecar.ask(sidecar.link(1))

    assert (302, destination(1)) == (answer.status, answer.header("location"))


def test_certificates_come_and_go_without_a_restart(sidecar: HttpsSidecar) -> None:
    """A second name, and then a renewal of the first."""
    with pytest.raises(ssl.SSLError):
        sidecar.shown(OTHER)
    other = sidecar.ca.put(sidecar.certificates, OTHER)
    before = sidecar.shown()

    renewed = sidecar.ca.put(sidecar.certificates, TRACKING_DOMAIN)

    assert other.leaf == sidecar.shown(OTHER)
    assert before != renewed.leaf == sidecar.shown()


@pytest.mark.parametrize("fault", ["missing", "expired", "mismatching key", "half-written"])
def test_a_bad_certificate_file(sidecar: HttpsSidecar, fault: str) -> None:
    """A new one that is at fault changes nothing; where there was none, that name is refused."""
    good = sidecar.shown()
    other = sidecar.ca.issue(TRACKING_DOMAIN, OTHER)
    contents = {
        "expired": sidecar.ca.issue(TRACKING_DOMAIN, OTHER, starts_in_days=-100).bundle,
        "mismatching key": other.chain + sidecar.ca.issue(OTHER).key,
        "half-written": other.bundle[:-50],
    }
    for name in (TRACKING_DOMAIN, OTHER):
        path = sidecar.certificates / f"{name}.pem"
        if fault == "missing":
            path.unlink(missing_ok=True)
        else:
            replace(path, contents[fault])

    assert good == sidecar.shown()
    with pytest.raises(ssl.SSLError):  # by us, or by the client that finds it expired
        sidecar.shown(OTHER)
    assert 302 == sidecar.ask(sidecar.link(1)).status
    fixed = sidecar.ca.put(sidecar.certificates, OTHER)
    assert fixed.leaf == sidecar.shown(OTHER)


class Strangers(threading.Thread):
    """Connect at a steady pace, each with a name that nobody has, until told to stop."""

    def __init__(self, sidecar: HttpsSidecar) -> None:
        super().__init__(daemon=True)
        self._sidecar = sidecar
        self.stopped = threading.Event()
        self.refused = 0
        self.admitted = 0

    def run(self) -> None:
        """Knock."""
        begin = time.monotonic()
        context = self._sidecar.ca.client(*BROWSER)
        context.check_hostname = False
        while not self.stopped.is_set():
            number = self.refused + self.admitted
            time.sleep(max(0.0, begin + number / STRANGERS_A_SECOND - time.monotonic()))
            try:
                plain = socket.create_connection((LOOPBACK, self._sidecar.tls_port), 30)
                with context.wrap_socket(plain, server_hostname=f"n{number}.fremd.example"):
                    self.admitted += 1
            except OSError:
                self.refused += 1


def test_200_unknown_names_a_second(sidecar: HttpsSidecar) -> None:
    """Each is refused; good clients are served meanwhile; nothing of it is left."""
    before = sidecar.daemon.log_text()
    strangers = Strangers(sidecar)
    strangers.start()
    begin = time.monotonic()

    answers = []
    while strangers.refused < 3 * STRANGERS_A_SECOND and time.monotonic() < begin + 60:
        answers.append(sidecar.ask(sidecar.link(len(answers))).status)
    strangers.stopped.set()
    strangers.join(30)

    assert len(answers) > 20
    assert {302} == set(answers)
    assert set(range(len(answers))) == set(sidecar.recorded())
    assert 0 == strangers.admitted
    assert strangers.refused >= 3 * STRANGERS_A_SECOND
    found = sidecar.metrics()
    assert strangers.refused == found['refused_hellos_total{reason="unknown name"}']
    wait_until(lambda: sidecar.metrics()["connections"] == 0, 20, "no connection left")
    assert len(sidecar.daemon.log_text()) - len(before) < 1000


def test_caps_hold_before_the_handshake() -> None:
    """A client too many is closed at accept: no half-built connection, no traceback."""
    with https_sidecar(max_connections_per_address=2) as sidecar:
        kept = [sidecar.connect(source="127.0.0.2") for _ in range(2)]
        with pytest.raises(OSError, match=r"."):
            sidecar.connect(source="127.0.0.2")
        other = sidecar.ask("/")
        for peer in kept:
            peer.close()
        wait_until(lambda: sidecar.metrics()["connections"] == 0, 20, "the end of all")
        with sidecar.connect(source="127.0.0.2"):
            pass

        assert 200 == other.status
        assert 1 == sidecar.metrics()['refused_connections_total{cap="address"}']
        assert "Traceback" not in sidecar.daemon.log_text()


def test_whoever_does_not_finish_the_hello_is_cut(sidecar: HttpsSidecar) -> None:
    """10 s from accept to the end of the first header block, the handshake included."""
    with (
        socket.create_connection((LOOPBACK, sidecar.tls_port), 40) as silent,
        socket.create_connection((LOOPBACK, sidecar.tls_port), 40) as slow,
        sidecar.connect() as idle,
    ):
        with contextlib.suppress(OSError):
            slow.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # how a hello begins
            for _ in range(60):
                slow.sendall(b"\x00")
                time.sleep(0.25)
        ended = [_has_ended(peer) for peer in (silent, slow, idle)]

    assert [True] * 3 == ended
    assert 3 == sidecar.metrics()["late_connections_total"]


def _has_ended(peer: socket.socket) -> bool:
    try:
        return peer.recv(100) == b""
    except OSError:
        return True


def test_sigterm_answers_what_has_come(sidecar: HttpsSidecar) -> None:
    """Over TLS too; a kept connection is closed in good order."""
    peer = sidecar.connect()
    idle = sidecar.connect()
    request = f"GET {sidecar.link(1)} HTTP/1.1\r\nHost: {TRACKING_DOMAIN}\r\n\r\n"
    peer.sendall(request.encode())

    status = sidecar.daemon.terminate(timeout=20)

    with peer, idle:
        assert peer.recv(10_000).startswith(b"HTTP/1.1 302 Found\r\n")
        assert b"" == idle.recv(100)
    assert 0 == status
    assert {1: LOOPBACK} == sidecar.recorded()
