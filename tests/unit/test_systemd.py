"""sd_notify, against a real datagram socket."""

import socket
from pathlib import Path

import pytest

from openclick.systemd import notify


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
