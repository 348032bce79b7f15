"""A tracking domain asked for its challenge over real sockets: what is right, and what is not."""

import socket
import threading
from pathlib import Path

import pytest

from openclick.domains import VerificationFailure
from openclick_sidecar.self_fetch import SelfFetch, Target
from support.processes import LOOPBACK, free_port
from support.scripted_server import answering, make_certificate, secured, server

NAME = "track.kontor.example"
PATH = "/.well-known/openclick/AAECAwQFBgcICQoLDA0ODw"
EXPECTED = "a" * 64
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + EXPECTED.encode("ascii")


def fetched(
    port: int, scheme: str = "http", seconds: float = 5.0, *addresses: str
) -> VerificationFailure | None:
    """Ask for the challenge on loopback."""
    target = Target(scheme, NAME, port, PATH)
    return SelfFetch(seconds).fetch(target, addresses or (LOOPBACK,), EXPECTED)


def code(failure: VerificationFailure | None) -> str:
    """Return the code of a failure."""
    assert failure is not None
    return failure.code


def test_the_right_answer() -> None:
    """Asked for by the name, as a reader's program would."""
    port, asked = free_port(), list[bytes]()

    with server(port, answering(OK, asked)):
        failure = fetched(port)

    assert failure is None
    assert asked[0].startswith(f"GET {PATH} HTTP/1.1\r\nHost: {NAME}:{port}\r\n".encode("ascii"))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n"
        + EXPECTED.encode("ascii")
        + b"\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n" + EXPECTED.encode("ascii") + b"\n",
    ],
    ids=["chunked", "until the end"],
)
def test_as_proxies_hand_it_on(answer: bytes) -> None:
    """A proxy may frame the answer in its own way."""
    port = free_port()

    with server(port, answering(answer)):
        assert fetched(port) is None


def test_a_connection_that_is_kept() -> None:
    """Not waited for: the answer is whole."""
    port, done = free_port(), threading.Event()

    def serve(peer: socket.socket) -> None:
        answering(OK)(peer)
        done.wait(30)

    with server(port, serve):
        failure = fetched(port, seconds=20.0)
        done.set()

    assert failure is None


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"b" * 64, "another answer"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "status 404"),
        (b"HTTP/1.1 301 Moved\r\nLocation: https://x/\r\n\r\n", "status 301"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000 + EXPECTED.encode("ascii"), "another answer"),
        (b"220 smtp.example ESMTP\r\n", "no HTTP answer"),
        (b"", "no HTTP answer"),
    ],
)
def test_another_server(answer: bytes, found: str) -> None:
    """Whoever answers otherwise is not this sidecar; the sentence says where it was."""
    port = free_port()

    with server(port, answering(answer)):
        failure = fetched(port)

    assert failure is not None
    assert failure.code == "wrong_answer"
    assert failure.message.startswith(f"http://{NAME}:{port}/ at {LOOPBACK} gives {found}")


@pytest.mark.parametrize("drip", [False, True])
def test_no_answer_in_time(drip: bool) -> None:
    """One deadline over all, however the answer trickles in."""
    port, done = free_port(), threading.Event()

    def serve(peer: socket.socket) -> None:
        while not done.wait(0.02):
            if drip:
                peer.sendall(b"x")

    with server(port, serve):
        failure = fetched(port, seconds=0.3)
        done.set()

    assert code(failure) == "answer_late"


def test_nobody_listens() -> None:
    """Unreachable from here, with each address and why."""
    failure = fetched(free_port())

    assert failure is not None
    assert failure.code == "unreachable"
    assert f"{LOOPBACK}: Connection refused" in failure.message


def test_no_address() -> None:
    """A CNAME to this host, whose own name has no address."""
    failure = SelfFetch(1.0).fetch(Target("http", NAME, 80, PATH), (), EXPECTED)

    assert failure is not None
    assert failure.code == "unreachable"
    assert "it has no address" in failure.message


def test_one_address_of_several_is_not_reached() -> None:
    """Not held against the domain: this machine may lack a route that readers have."""
    port = free_port()

    with server(port, answering(OK)):
        assert fetched(port, "http", 5.0, LOOPBACK, "127.0.0.2") is None


def test_one_address_of_several_is_another_server() -> None:
    """Held against it: readers get one of them by chance."""
    port = free_port()

    with server(port, answering(OK)), server(port, answering(b""), "127.0.0.2"):
        failure = fetched(port, "http", 5.0, LOOPBACK, "127.0.0.2")

    assert code(failure) == "wrong_answer"


# --- https


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a certificate for the tracking domain, with its key, that this machine trusts."""
    path = tmp_path / "good.pem"
    make_certificate(path, NAME)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


def test_https(certificate: Path) -> None:
    """With a certificate as browsers take it."""
    port = free_port()

    with server(port, secured(certificate, answering(OK))):
        assert fetched(port, "https") is None


def test_a_certificate_of_another_name(certificate: Path, tmp_path: Path) -> None:
    """Readers' browsers would refuse it, so the check does."""
    port, other = free_port(), tmp_path / "other.pem"
    make_certificate(other, "other.example")

    with server(port, secured(other, answering(OK))):
        failure = fetched(port, "https")

    assert failure is not None
    assert failure.code == "certificate_invalid"
    assert "shows a certificate that does not hold" in failure.message


@pytest.mark.parametrize("answer", [OK, b""])
def test_no_tls(answer: bytes) -> None:
    """Plain HTTP on the port of https, or a server that hangs up."""
    port = free_port()

    with server(port, answering(answer)):
        assert code(fetched(port, "https")) == "tls_failed"


def test_tls_that_does_not_come(certificate: Path) -> None:
    """The handshake counts for the deadline too."""
    port, done = free_port(), threading.Event()

    with server(port, lambda _peer: done.wait(30) and None):
        failure = fetched(port, "https", 0.3)
        done.set()

    assert code(failure) == "answer_late"
