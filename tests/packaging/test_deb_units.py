"""The units where a machine is not as usual: a port of the sidecar's own, a disk that hangs.

The machine is as test_deb_life.py left it, or new; drop-ins in /run change the units, and are gone
at the end of each test.
"""

import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support import messages
from support.deployment import BROWSER, delivered
from support.http_client import fetch
from support.packaged_machine import SETTINGS, PackagedMachine
from support.processes import LOOPBACK, wait_until
from support.reading import tracking_links
from support.room_disk import RoomDisk, room_disk
from support.smtp_client import send

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
STATE = "/var/lib/openclick"
DAEMONS = ("openclick-milter", "openclick-sidecar")
SECONDS = 12
"""The milter's sign of life comes every ten."""

_PORT_80 = (LOOPBACK, 80)
_DISK_BYTES = 256 << 20
_WAIT_SECONDS = 120


def mail_through(machine: PackagedMachine, name: str) -> bytes:
    """Send a newsletter, and return it as it arrived."""
    raw = messages.newsletter(message_id=f"<{name}@kontor.example>")
    result = send(machine.listener, "news@kontor.example", messages.RECIPIENTS, raw)
    assert result.accepted, result
    return delivered(machine.sink, raw, timeout=_WAIT_SECONDS)


def restart_script(*, start: bool = True) -> str:
    """Return what stops both daemons with the socket of port 80, and starts them again."""
    units = f"openclick-sidecar-http.socket {' '.join(DAEMONS)}"
    return f"systemctl daemon-reload; systemctl {'start' if start else 'stop'} {units}"


@contextlib.contextmanager
def drop_ins(machine: PackagedMachine, **lines: str) -> Iterator[None]:
    """Put lines into units of the daemons, which do not run when these come and when they go."""
    folders = {name: f"run/systemd/system/openclick-{name}.service.d" for name in lines}
    machine.shell(restart_script(start=False))
    try:
        for name, folder in folders.items():
            machine.shell(
                f"mkdir -p /{folder}; cat >/{folder}/test.conf <<'END'\n{lines[name]}\nEND"
            )
        yield
    finally:
        machine.shell(f"rm -r {' '.join(f'/{folder}' for folder in folders.values())}")
        machine.shell(restart_script())


@contextlib.contextmanager
def on_a_disk_that_may_hang(machine: PackagedMachine) -> Iterator[RoomDisk]:
    """Have both daemons run, with a short watchdog, on a store that stands on a disk of its own."""
    short = f"[Service]\nWatchdogSec={SECONDS}"
    with (
        drop_ins(machine, milter=short, sidecar=short),
        room_disk(machine.room, STATE, _DISK_BYTES) as disk,
    ):
        try:
            machine.shell(restart_script())
            yield disk
        finally:
            disk.let_go()
            machine.shell(restart_script(start=False))


def click_and_do_not_wait(link: str) -> socket.socket:
    """Ask for a tracking link, as a reader does; return the connection."""
    parts = urlsplit(link)
    connection = socket.create_connection(_PORT_80, timeout=_WAIT_SECONDS)
    asked = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: {BROWSER}\r\n\r\n"
    connection.sendall(asked.encode("ascii"))
    return connection


def barked(machine: PackagedMachine, name: str) -> bool:
    """Tell whether systemd has missed a sign of life of a daemon."""
    return f"Watchdog timeout (limit {SECONDS}s)!" in machine.journal(name)


@pytest.fixture(autouse=True)
def _installed(machine: PackagedMachine) -> None:
    if not (machine.root / SETTINGS[1:]).exists():
        machine.install("current")
        machine.set_up()


def test_a_port_of_its_own(machine: PackagedMachine) -> None:
    """With the lines of packaging/README.md the sidecar binds port 80, as sidecar.listen says."""
    page = (PACKAGING / "README.md").read_text("utf-8")
    (lines,) = re.findall(r"```ini\n(.*?)\n```", page, re.DOTALL)
    settings = machine.root / SETTINGS[1:]
    before = settings.read_text("utf-8")
    try:
        with drop_ins(machine, sidecar=lines):
            listen = f'[sidecar]\nlisten = ["{LOOPBACK}:80"]\n'
            settings.write_text(before.replace("[sidecar]\n", listen), "utf-8")
            machine.shell("systemctl daemon-reload; systemctl start openclick-sidecar")
            answer = fetch(f"http://{LOOPBACK}/", _PORT_80, timeout=_WAIT_SECONDS)
            machine.shell("systemctl stop openclick-sidecar")
    finally:
        settings.write_text(before, "utf-8")
        machine.shell("systemctl restart openclick-sidecar")

    assert answer.status == 200


def test_a_disk_that_hangs(machine: PackagedMachine) -> None:
    """Both are ended and started again; mail goes out as it came until then, tracked afterwards.

    The threads that write hang in the kernel, as before a broken disk; all else of the daemons goes
    on, and must not deceive the watchdog, which is shortened: the test need not last two minutes.
    """
    with on_a_disk_that_may_hang(machine) as disk:
        link = tracking_links(mail_through(machine, "before-it-hangs"))[1]
        restarts = {name: int(machine.service(name, "NRestarts")) for name in DAEMONS}
        disk.hold_up()
        with click_and_do_not_wait(link):
            while_it_waits = mail_through(machine, "while-it-hangs")
            for name in DAEMONS:
                wait_until(lambda name=name: barked(machine, name), _WAIT_SECONDS, name, 0.2)
            after_the_end = mail_through(machine, "after-the-end")
        disk.let_go()
        wait_until(lambda: all_run_again(machine, restarts), _WAIT_SECONDS, "a restart", 0.2)
        later = mail_through(machine, "after-it-hung")
        answer = fetch(link, _PORT_80, {"User-Agent": BROWSER}, timeout=_WAIT_SECONDS)

    assert tracking_links(while_it_waits) == tracking_links(after_the_end) == []
    assert "store too slow" in machine.journal("openclick-milter")
    assert tracking_links(later) != []
    assert answer.header("location") == messages.TRACKED_LINKS[1]


def all_run_again(machine: PackagedMachine, restarts: dict[str, int]) -> bool:
    """Tell whether systemd has started each daemon again."""
    return all(
        machine.service(name, "ActiveState") == "active"
        and int(machine.service(name, "NRestarts")) > before
        for name, before in restarts.items()
    )
