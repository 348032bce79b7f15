"""Where the sidecar listens: ports of its own, sockets from a parent, proxies, the metrics."""

import dataclasses
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclick.option_kinds import HostPort
from openclick.settings import SidecarSettings
from openclick_sidecar.admission import Admission
from openclick_sidecar.listeners import Listeners
from support.fixtures import installed
from support.http_client import fetch, raw_request
from support.lone_sidecar import LoneSidecar, destination
from support.processes import LOOPBACK, DaemonError, free_port, wait_until

HOST = {"Host": "track.kontor.example"}

# A parent as systemd is one: it binds blocking sockets, names them, and becomes the sidecar.
PARENT = """
import os, socket, sys
ports, names, program = sys.argv[1].split(","), sys.argv[2], sys.argv[3:]
for place, port in enumerate(ports):
    bound = socket.create_server(("127.0.0.1", int(port)), backlog=1024)
    os.dup2(bound.detach(), 3 + place)
    os.set_inheritable(3 + place, True)  # dup2 of a descriptor onto itself does not see to it
os.environ |= {
    "LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(ports)), "LISTEN_FDNAMES": names
}
os.execvp(program[0], program)
"""


def lone_sidecar(**settings: object) -> LoneSidecar:
    """Return a sidecar that is not started yet."""
    return installed(LoneSidecar, **settings)


def born_of_a_parent(sidecar: LoneSidecar, ports: list[int], names: str) -> LoneSidecar:
    """Have a parent bind these ports for the sidecar."""
    installation = sidecar.installation
    words = (sys.executable, "-c", PARENT, ",".join(map(str, ports)), names)
    installation.programs = dataclasses.replace(
        installation.programs, sidecar=(*words, *installation.programs.sidecar)
    )
    return sidecar


@pytest.fixture
def ports() -> tuple[int, int]:
    """Give two free ports."""
    return free_port(), free_port()


def test_every_address_of_both_families_answers(ports: tuple[int, int]) -> None:
    """0.0.0.0 and [::] stand side by side on one port, as the setting's own example says."""
    port, _ = ports
    with lone_sidecar(listen=[f"0.0.0.0:{port}", f"[::]:{port}"]):
        four = fetch(f"http://127.0.0.1:{port}/robots.txt", headers=HOST)
        six = fetch(f"http://[::1]:{port}/robots.txt", ("::1", port), HOST)

    assert (200, 200) == (four.status, six.status)


@pytest.mark.parametrize("setting", ["listen", "proxy_protocol_listen", "metrics_listen"])
def test_an_address_in_use_ends_the_start_and_frees_the_others(
    ports: tuple[int, int], setting: str
) -> None:
    """One line, exit status 69, and nothing is left half-started."""
    free, taken = ports
    sidecar = lone_sidecar(**{setting: [f"{LOOPBACK}:{free}", f"{LOOPBACK}:{taken}"]})
    log = sidecar.installation.directory / "sidecar.log"
    with socket.create_server((LOOPBACK, taken)):
        with pytest.raises(DaemonError, match=r"ended \(69\)"):
            sidecar.installation.start_sidecar()

        with socket.create_server((LOOPBACK, free)):
            pass
    [line] = log.read_text().splitlines()
    sidecar.installation.close()

    assert f"error sidecar: {LOOPBACK}:{taken}: cannot listen: Address already in use" in line
    assert line.endswith("; not started")


# --- sockets from a parent


def test_an_inherited_socket_is_served(ports: tuple[int, int]) -> None:
    """Though it came blocking, which would hang a reactor; what the settings say is not bound."""
    port, _ = ports
    with born_of_a_parent(lone_sidecar(), [port], "hits") as sidecar:
        answers = [
            fetch(f"http://x{sidecar.link(number)}", (LOOPBACK, port), HOST) for number in range(3)
        ]
        bound = socket.create_server((LOOPBACK, sidecar.port))
        bound.close()

        assert [destination(number) for number in range(3)] == [
            answer.header("location") for answer in answers
        ]
        assert f"ready listen={LOOPBACK}:{port}," in sidecar.daemon.log_text()
        assert 0 == sidecar.daemon.terminate()


def test_inherited_sockets_are_told_apart_by_name(ports: tuple[int, int]) -> None:
    """FileDescriptorName=metrics is the metrics' listener; a name of no meaning is for readers."""
    with born_of_a_parent(lone_sidecar(), [*ports], "metrics:some.socket"):
        metrics, hits = ports
        pages = fetch(f"http://{LOOPBACK}:{metrics}/healthz")
        robots = fetch(f"http://{LOOPBACK}:{hits}/robots.txt", headers=HOST)

    assert (200, b"ok\n") == (pages.status, pages.body)
    assert b"Disallow" in robots.body


def test_inherited_sockets_are_not_for_children(ports: tuple[int, int]) -> None:
    """The sidecar keeps them to itself: the descriptor is close-on-exec, the variables are gone."""
    port, _ = ports
    with born_of_a_parent(lone_sidecar(), [port], "hits") as sidecar:
        process = Path(f"/proc/{sidecar.daemon.pid}")
        flags = [
            int(re.findall(r"flags:\s+(\d+)", (process / "fdinfo" / fd.name).read_text())[0], 8)
            for fd in (process / "fd").iterdir()
            if os.readlink(fd).startswith("socket:")
        ]

    assert flags
    assert all(flag & os.O_CLOEXEC for flag in flags)


def test_what_is_inherited_must_be_a_listening_socket() -> None:
    """Anything else is named, and ends the start with 69."""
    sidecar = lone_sidecar()
    installation = sidecar.installation
    parent = (
        "import os, sys; os.dup2(os.open('/dev/null', 0), 3); os.set_inheritable(3, True);"
        "os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'};"
        "os.execvp(sys.argv[1], sys.argv[1:])"
    )
    words = (sys.executable, "-c", parent, *installation.programs.sidecar)
    installation.programs = dataclasses.replace(installation.programs, sidecar=words)

    with pytest.raises(DaemonError, match=r"ended \(69\)") as caught:
        installation.start_sidecar()
    installation.close()

    assert "inherited descriptor 3 (without a name): is no socket" in str(caught.value)


@pytest.mark.skipif(  # no systemd here: nothing else hands sockets over as it does
    shutil.which("systemd-socket-activate") is None, reason="needs systemd-socket-activate"
)
def test_systemd_hands_a_socket_over(ports: tuple[int, int]) -> None:
    """By its own tool: the first connection starts the sidecar, and is answered by it."""
    port, _ = ports
    sidecar = lone_sidecar()
    installation = sidecar.installation
    activate = (
        *("systemd-socket-activate", "-l", f"{LOOPBACK}:{port}", "--fdname=hits"),
        *(f"-E{name}" for name in installation.programs.env),
    )
    argv = [*activate, *installation.programs.sidecar, "--config", str(installation.config_path)]
    parent = subprocess.Popen(
        argv,
        env={"PATH": "/usr/bin:/bin", **installation.programs.env},
        user=installation.sidecar_uid,
        group=installation.gid,
        extra_groups=[],
        stderr=subprocess.DEVNULL,
        cwd=installation.directory,
    )
    try:
        wait_until(lambda: _connects(port), 10, "systemd-socket-activate")

        answer = fetch(f"http://x{sidecar.link(1)}", (LOOPBACK, port), HOST)
    finally:
        parent.terminate()
        status = parent.wait(15)
        installation.close()

    assert (302, destination(1)) == (answer.status, answer.header("location"))
    assert 0 == status


def _connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


# --- proxies


@pytest.fixture
def behind_a_proxy(ports: tuple[int, int]) -> Iterator[tuple[LoneSidecar, int]]:
    """Give a sidecar, and the port where it takes PROXY headers from 127.0.0.1."""
    port, _ = ports
    with lone_sidecar(
        proxy_protocol_listen=[f"{LOOPBACK}:{port}"], trusted_proxies=["127.0.0.1"]
    ) as sidecar:
        yield sidecar, port


def _request(sidecar: LoneSidecar, number: int) -> bytes:
    fields = f"Host: {HOST['Host']}\r\nConnection: close\r\n"
    return f"GET {sidecar.link(number)} HTTP/1.1\r\n{fields}\r\n".encode()


def test_proxy_headers(behind_a_proxy: tuple[LoneSidecar, int]) -> None:
    """Versions 1 and 2; the event names the client whom they name."""
    sidecar, port = behind_a_proxy
    first = b"PROXY TCP4 192.0.2.7 10.0.0.9 50000 80\r\n"
    second = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes.fromhex("c00002080a000009c3500050")

    answers = [
        raw_request(port, header + _request(sidecar, number))
        for number, header in enumerate((first, second))
    ]

    assert [True, True] == [b"302 Found" in answer for answer in answers]
    assert {0: "192.0.2.7", 1: "192.0.2.8"} == sidecar.recorded()


def test_proxy_headers_of_strangers(behind_a_proxy: tuple[LoneSidecar, int]) -> None:
    """Whoever is no trusted proxy is not let in there; elsewhere the header is no request."""
    sidecar, port = behind_a_proxy
    data = b"PROXY TCP4 192.0.2.7 10.0.0.9 50000 80\r\n" + _request(sidecar, 1)
    with socket.create_connection((LOOPBACK, port), 10, ("127.0.0.2", 0)) as stranger:
        turned_away = _all_of(stranger)

    elsewhere = raw_request(sidecar.port, data)

    assert b"" == turned_away
    assert elsewhere.startswith(b"HTTP/1.1 400 ")
    assert {} == sidecar.recorded()
    assert 1 == sidecar.metrics()['refused_connections_total{cap="stranger"}']


def _all_of(peer: socket.socket) -> bytes:
    try:
        return peer.recv(1000)
    except ConnectionResetError:
        return b""


def test_a_proxy_listener_without_proxies_says_so(ports: tuple[int, int]) -> None:
    """It would let nobody in, which is surely not meant."""
    with lone_sidecar(proxy_protocol_listen=[f"{LOOPBACK}:{ports[0]}"]) as sidecar:
        log = sidecar.daemon.log_text()

    assert "warning sidecar: sidecar.proxy_protocol_listen is set, but" in log


# --- the metrics


def test_metrics_count_what_was_asked() -> None:
    """Requests, tokens and hits; the pages say that all is well."""
    with lone_sidecar() as sidecar:
        sidecar.click(1)
        fetch("http://x/c/AAAA", (LOOPBACK, sidecar.port), HOST)
        fetch(f"http://x{sidecar.link(2)}", (LOOPBACK, sidecar.port), HOST, method="HEAD")
        found = sidecar.metrics()
        pages = [sidecar.status(page).status for page in ("/healthz", "/readyz/hits", "/x")]

    assert 1 == found['requests_total{asked_for="click",method="GET",status="302"}']
    assert 1 == found['requests_total{asked_for="click",method="HEAD",status="302"}']
    assert 1 == found['refused_tokens_total{reason="too short"}']
    assert 1 == found['hits_total{outcome="recorded"}']
    assert [200, 200, 404] == pages


def test_not_ready_without_a_key() -> None:
    """/readyz/hits names the reason; with a key it is well again, without a restart."""
    sidecar = lone_sidecar()
    key = sidecar.installation.state / "keys" / "000.v1.key"
    aside = key.rename(key.with_suffix(".aside"))
    with sidecar:
        without = sidecar.status("/readyz/hits")
        aside.rename(key)
        ready = wait_until(lambda: sidecar.status("/readyz/hits").status == 200, 5, "a key")

    assert 503 == without.status
    assert b"holds no key" in without.body
    assert ready


def test_metrics_can_be_switched_off() -> None:
    """An empty list binds nothing."""
    with lone_sidecar(metrics_listen=[]) as sidecar:
        answer = sidecar.click(1)
        free = not _connects(sidecar.installation.metrics_port)

    assert 302 == answer.status
    assert free


class AdoptingReactor:
    """Keeps what it is given to listen on, as Twisted's reactor does: a duplicate."""

    def __init__(self) -> None:
        self.listening: list[socket.socket] = []

    def adoptStreamPort(self, descriptor: int, family: int, _factory: object) -> None:  # noqa: N802
        """Keep the socket."""
        self.listening.append(socket.socket(fileno=os.dup(descriptor), family=family))


def test_answers_leave_at_once() -> None:
    """Nagle's algorithm is off on every connection: a redirect is one small packet."""
    reactor = AdoptingReactor()
    listeners = Listeners(
        reactor,
        object(),
        Admission(9, 9),
        lambda _host: False,
        object(),
        object(),  # type: ignore[arg-type]
    )
    settings = SidecarSettings(listen=(HostPort(LOOPBACK, 0),), metrics_listen=())
    listeners.open_all(settings, ())
    (listening,) = reactor.listening

    with listening, socket.create_connection(listening.getsockname()):
        listening.setblocking(True)
        connection, _ = listening.accept()

    with connection:
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
