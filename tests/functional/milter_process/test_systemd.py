"""What the milter tells systemd of its states."""

import re
import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from support.fixtures import requires_private_postfix
from support.installation import Installation

pytestmark = requires_private_postfix


class TestSystemd:
    """What goes to NOTIFY_SOCKET; the unit has Type=notify and NotifyAccess=all."""

    @pytest.fixture
    def told(self) -> Iterator[tuple[Installation, Callable[[], list[str]]]]:
        """Give a started installation and a function that returns the next notification."""
        with (
            Installation() as installation,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening,
        ):
            address = installation.directory / "notify"
            listening.bind(str(address))
            address.chmod(0o777)
            listening.settimeout(20)
            directory = installation.directory / "run"
            directory.mkdir()
            directory.chmod(0o777)
            installation.configure(f"unix:{directory}/m.sock", 53)
            installation.init()
            installation.extra_env["NOTIFY_SOCKET"] = str(address)
            installation.start_milter()

            def next_states() -> list[str]:
                # Signs of life come in between, whenever the writer thread goes round.
                while (states := listening.recv(1000).decode().splitlines()) == ["WATCHDOG=1"]:
                    pass
                return states

            yield installation, next_states

    def test_start_and_end(self, told: tuple[Installation, Callable[[], list[str]]]) -> None:
        """READY=1 and MAINPID once Postfix can connect, STOPPING=1 at the end."""
        installation, next_states = told
        milter = installation.milter
        assert milter is not None

        states = next_states()
        milter.terminate()

        assert [f"MAINPID={milter.pid}", "READY=1"] == states
        assert ["STOPPING=1"] == next_states()

    def test_hand_over(self, told: tuple[Installation, Callable[[], list[str]]]) -> None:
        """RELOADING=1 from the old process, MAINPID and READY=1 from the new one."""
        installation, next_states = told
        milter = installation.milter
        assert milter is not None
        next_states()

        milter.signal(signal.SIGUSR2)
        begun, done = next_states(), next_states()
        milter.wait(20)
        successor = int(done[0].removeprefix("MAINPID="))
        milter.follow(successor)

        assert "RELOADING=1" == begun[0]
        assert re.fullmatch(r"MONOTONIC_USEC=\d+", begun[1])
        assert [f"MAINPID={successor}", "READY=1"] == done

    def test_hand_over_that_fails(self, told: tuple[Installation, Callable[[], list[str]]]) -> None:
        """READY=1 from the old process, which stays the main one."""
        installation, next_states = told
        assert installation.milter is not None
        next_states()
        installation.config_path.write_text("nonsense = 1\n")

        installation.milter.signal(signal.SIGUSR2)
        states = [next_states(), next_states()]

        assert "RELOADING=1" == states[0][0]
        assert ["READY=1"] == states[1]
