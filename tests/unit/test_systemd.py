"""sd_notify against a real datagram socket, and sockets handed over by a parent."""

import os
import socket
from pathlib import Path

import pytest

from openclick.systemd import InheritedSocket, inherited_sockets, notify, watchdog_seconds


def test_states_go_in_one_datagram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each state stands on a line of its own."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "n"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))

        notify("MAINPID=7", "READY=1")

        assert b"MAINPID=7\nREADY=1" == listening.recv(100)


def test_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leading @ names a socket in the abstract namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0openclick-test-notify")
        monkeypatch.setenv("NOTIFY_SOCKET", "@openclick-test-notify")

        notify("READY=1")

        assert b"READY=1" == listening.recv(100)


@pytest.mark.parametrize("address", [None, "", "/nonexistent/socket"])
def test_nobody_listens(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a service manager nothing happens, and nothing is raised."""
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)

    assert notify("READY=1") is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(("names", "name"), [("hits", "hits"), ("", ""), (None, "")])
def test_a_socket_is_taken_over(
    monkeypatch: pytest.MonkeyPatch, names: str | None, name: str
) -> None:
    """Non-blocking and close-on-exec, with its name; and no child inherits the inheritance."""
    with socket.socket() as bound:
        bound.set_inheritable(True)
        monkeypatch.setattr("openclick.systemd._FIRST_DESCRIPTOR", bound.fileno())
        environment = {"LISTEN_PID": "17", "LISTEN_FDS": "1", "KEPT": "1"}
        if names is not None:
            environment["LISTEN_FDNAMES"] = names

        found = inherited_sockets(environment, 17)

        assert [InheritedSocket(bound.fileno(), name)] == found
        assert {"KEPT": "1"} == environment
        assert not os.get_blocking(bound.fileno())
        assert not bound.get_inheritable()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LISTEN_PID": "18", "LISTEN_FDS": "1"},
        {"LISTEN_PID": "17", "LISTEN_FDS": "0"},
        {"LISTEN_PID": "17", "LISTEN_FDS": "x"},
        {"LISTEN_PID": "17"},
        {"LISTEN_FDS": "1"},
    ],
)
def test_nothing_is_inherited(environment: dict[str, str]) -> None:
    """What was meant for another process, or is no number, is none of ours."""
    assert [] == inherited_sockets(dict(environment), 17)


def test_a_descriptor_that_is_not_open_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parent that counts wrongly ends nothing."""
    monkeypatch.setattr("openclick.systemd._FIRST_DESCRIPTOR", 1_000_000)

    assert [] == inherited_sockets({"LISTEN_PID": "17", "LISTEN_FDS": "2"}, 17)


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "17"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "18"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog(environment: dict[str, str], seconds: float | None) -> None:
    """It is told in microseconds, and for one process."""
    assert seconds == watchdog_seconds(environment, 17)
