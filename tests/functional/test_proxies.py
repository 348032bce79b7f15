"""Behind nginx, Apache, HAProxy and Caddy, as contrib sets them up: the reader's address counts."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclick.instants import now
from support import proxies
from support.authority import Authority
from support.fixtures import installed
from support.http_client import fetch, raw_request
from support.lone_sidecar import TRACKING_DOMAIN, LoneSidecar, destination
from support.processes import LOOPBACK, free_port, wait_until
from support.proxies import Proxy

READERS = ("127.0.0.2", "127.0.0.3")
MEANT = "server is listening only on the http port"
"""Caddy warns of it; links from before there was a certificate are answered as they are."""
SENDING_DOMAIN = TRACKING_DOMAIN.partition(".")[2]


@pytest.fixture
def proxy_port() -> int:
    """Give the port for PROXY headers."""
    return free_port()


@pytest.fixture
def sidecar(proxy_port: int) -> Iterator[LoneSidecar]:
    """Give a sidecar that believes proxies at 127.0.0.1."""
    with installed(
        LoneSidecar,
        trusted_proxies=["127.0.0.1"],
        proxy_protocol_listen=[f"{LOOPBACK}:{proxy_port}"],
    ) as running:
        yield running


@pytest.fixture(scope="module")
def ca() -> Authority:
    """Give the CA of the proxies' certificates."""
    return Authority()


@pytest.fixture
def nginx(sidecar: LoneSidecar, ca: Authority, tmp_path: Path) -> Iterator[Proxy]:
    """Give nginx in front of it."""
    if shutil.which("nginx") is None:
        pytest.skip("needs Debian's package nginx-light")  # no nginx here to stand before it
    proxy = proxies.nginx(tmp_path, sidecar.port, TRACKING_DOMAIN, *pem_files(ca, tmp_path))
    yield proxy
    proxy.daemon.close()


def pem_files(ca: Authority, directory: Path) -> tuple[Path, Path]:
    """Write a certificate with its chain, and its key, as certbot does."""
    issued = ca.issue(TRACKING_DOMAIN)
    certificate, key = directory / "fullchain.pem", directory / "privkey.pem"
    certificate.write_bytes(issued.chain)
    key.write_bytes(issued.key)
    return certificate, key


@pytest.fixture
def apache(sidecar: LoneSidecar, ca: Authority, tmp_path: Path) -> Iterator[Proxy]:
    """Give Apache in front of it."""
    if shutil.which("apache2", path="/usr/sbin") is None:
        pytest.skip("needs Debian's package apache2-bin")  # no Apache here to stand before it
    proxy = proxies.apache(tmp_path, sidecar.port, TRACKING_DOMAIN, *pem_files(ca, tmp_path))
    yield proxy
    proxy.daemon.close()


@pytest.fixture
def haproxy(
    sidecar: LoneSidecar, proxy_port: int, ca: Authority, tmp_path: Path
) -> Iterator[Proxy]:
    """Give HAProxy in front of it."""
    if shutil.which("haproxy") is None:
        pytest.skip("needs Debian's package haproxy")  # no HAProxy here to stand before it
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    ca.put(certificates, TRACKING_DOMAIN)
    proxy = proxies.haproxy(tmp_path, proxy_port, certificates)
    yield proxy
    proxy.daemon.close()


@pytest.fixture(params=["nginx", "apache", "haproxy"])
def proxy(request: pytest.FixtureRequest) -> Proxy:
    """Give one after the other."""
    found: Proxy = request.getfixturevalue(request.param)
    return found


def follow(
    proxy: Proxy, ca: Authority, path: str, source: str, forged: str = ""
) -> tuple[int, str | None]:
    """Follow a link by https from an address of a reader's; return the status and the Location."""
    fields = {"X-Forwarded-For": forged} if forged else {}
    answer = fetch(
        f"https://{TRACKING_DOMAIN}{path}",
        (LOOPBACK, proxy.https),
        {"Connection": "close", **fields},
        tls=ca.client("h2", "http/1.1"),
        source=source,
    )
    return answer.status, answer.header("location")


def test_the_readers_own_address_is_recorded(
    sidecar: LoneSidecar, proxy: Proxy, ca: Authority
) -> None:
    """By https; and what readers write into X-Forwarded-For is believed of none."""
    answers = [
        follow(proxy, ca, sidecar.link(number), READERS[number % 2], "203.0.113.9" * (number > 3))
        for number in range(8)
    ]

    assert [(302, destination(number)) for number in range(8)] == answers
    assert {number: READERS[number % 2] for number in range(8)} == sidecar.recorded()


@pytest.mark.parametrize("name", ["nginx", "apache", "haproxy", "caddy"])
def test_the_proxy_takes_its_sample(request: pytest.FixtureRequest, name: str) -> None:
    """Its own check has nothing to complain of, not even a warning."""
    check = request.getfixturevalue(name).check

    done = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False)

    said = (done.stdout + done.stderr).lower()
    assert done.returncode == 0, said
    assert [line for line in said.splitlines() if "warn" in line and MEANT not in line] == []


def test_what_a_reader_asks_for_arrives_as_it_was_written(
    sidecar: LoneSidecar, proxy: Proxy
) -> None:
    """Junk behind a link, encoded or not, is the sidecar's to judge, and breaks nothing."""
    for number, junk in enumerate(["%27", "?utm_source=x%2Fy&u=%C3%A9", "%2F..%2F", "/../x?//"]):
        peer = _connected(proxy.http, READERS[0])
        path = sidecar.link(number) + junk
        peer.sendall(f"GET {path} HTTP/1.1\r\nHost: {TRACKING_DOMAIN}\r\n\r\n".encode())
        assert b" 302 " in peer.recv(10_000), junk
        peer.close()

    assert dict.fromkeys(range(4), READERS[0]) == sidecar.recorded()


def test_plain_http_goes_the_same_way(sidecar: LoneSidecar, proxy: Proxy) -> None:
    """Links that were sent before there was a certificate."""
    answer = fetch(
        f"http://{TRACKING_DOMAIN}{sidecar.link(1)}", (LOOPBACK, proxy.http), source=READERS[0]
    )

    assert (302, destination(1)) == (answer.status, answer.header("location"))
    assert {1: READERS[0]} == sidecar.recorded()


def test_many_readers_over_kept_connections(sidecar: LoneSidecar, proxy: Proxy) -> None:
    """The proxy keeps connections to the sidecar, and still each hit has its own reader."""
    links = sidecar.links(range(40))
    peers = {source: _connected(proxy.http, source) for source in READERS}
    for number, path in links.items():
        peer = peers[READERS[number % 2]]
        peer.sendall(f"GET {path} HTTP/1.1\r\nHost: {TRACKING_DOMAIN}\r\n\r\n".encode())
        assert b" 302 " in peer.recv(10_000)
    for peer in peers.values():
        peer.close()

    assert {number: READERS[number % 2] for number in links} == sidecar.recorded()


def _connected(port: int, source: str) -> socket.socket:
    return socket.create_connection((LOOPBACK, port), 10, (source, 0))


def test_the_sidecar_restarts_behind_it(sidecar: LoneSidecar, proxy: Proxy, ca: Authority) -> None:
    """Kept connections that have ended are no reader's business."""
    first = follow(proxy, ca, sidecar.link(1), READERS[0])
    sidecar.daemon.close()
    sidecar.daemon = sidecar.installation.start_sidecar()
    second = follow(proxy, ca, sidecar.link(2), READERS[0])

    assert [(302, destination(1)), (302, destination(2))] == [first, second]


@pytest.fixture
def caddy(sidecar: LoneSidecar, tmp_path: Path) -> Iterator[Proxy]:
    """Give Caddy, with a CA of its own, in front of it."""
    if shutil.which("caddy") is None:
        pytest.skip("needs Debian's package caddy")  # no Caddy here to stand before it
    installation = sidecar.installation
    installation.openclick("domain", "add", SENDING_DOMAIN, "--opens", "--clicks")
    proxy = proxies.caddy(tmp_path, sidecar.port, installation.metrics_port)
    yield proxy
    proxy.daemon.close()


def _unchecked() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_caddy_asks_first(sidecar: LoneSidecar, caddy: Proxy) -> None:
    """A certificate is made for a name that points here, for no other, and not before it does."""
    link = f"https://{TRACKING_DOMAIN}{sidecar.link(1)}"
    peer = (LOOPBACK, caddy.https)
    with pytest.raises(ssl.SSLError):
        fetch(link, peer, tls=_unchecked(), source=READERS[0])
    _record(sidecar, points_here=True)
    page = f"/tls-ask?domain={TRACKING_DOMAIN}"
    wait_until(lambda: sidecar.status(page).status == 200, 20, "the name to be known")

    answer = fetch(link, peer, tls=_unchecked(), source=READERS[0], timeout=30)
    with pytest.raises(ssl.SSLError):
        fetch("https://fremd.example/", peer, tls=_unchecked())

    assert (302, destination(1)) == (answer.status, answer.header("location"))
    assert {1: READERS[0]} == sidecar.recorded()


def test_tls_ask_follows_the_domain(sidecar: LoneSidecar) -> None:
    """403 for what was never added, for what does not point here, and again when it has left."""
    page = f"/tls-ask?domain={TRACKING_DOMAIN.upper()}."
    never = sidecar.status(page).status
    sidecar.installation.openclick("domain", "add", SENDING_DOMAIN, "--opens", "--clicks")
    added = sidecar.status(page).status
    _record(sidecar, points_here=True)
    wait_until(lambda: sidecar.status(page).status == 200, 20, "200")
    _record(sidecar, points_here=False)
    wait_until(lambda: sidecar.status(page).status == 403, 20, "403")

    assert [403, 403] == [never, added]


def _record(sidecar: LoneSidecar, *, points_here: bool) -> None:
    """Write down what a check of DNS would have found."""
    registry = sidecar.installation.store.registry()
    try:
        registry.domains.record_names([(TRACKING_DOMAIN, points_here)], now())
    finally:
        registry.close()


def test_the_proxys_listener_is_for_the_proxy(sidecar: LoneSidecar, proxy_port: int) -> None:
    """A reader who finds it, and forges a header, is turned away at accept."""
    with socket.create_connection((LOOPBACK, proxy_port), 10, (READERS[0], 0)) as reader:
        reader.sendall(
            b"PROXY TCP4 203.0.113.9 127.0.0.1 1 80\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        try:
            got = reader.recv(100)
        except ConnectionResetError:
            got = b""

    assert b"" == got
    assert raw_request(sidecar.port, b"PROXY x\r\n").startswith(b"HTTP/1.1 400 ")
