"""Programs started for a test run as they should, say what they said, and end."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import (
    LOOPBACK,
    Daemon,
    DaemonError,
    WaitTimeoutError,
    free_port,
    is_alive,
    port_listens,
    session_members,
    wait_until,
)

NOBODY = 65534
SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER


def _python(program: str, log: Path) -> Daemon:
    return Daemon([sys.executable, "-c", program], log_path=log, name="probe")


def _up(daemon: Daemon) -> Daemon:
    daemon.wait_ready(lambda: "up" in daemon.log_text())
    return daemon


def test_free_ports_are_free_and_given_once() -> None:
    """Nobody listens there, and no two callers get the same."""
    ports = [free_port() for _ in range(50)]

    assert len(set(ports)) == 50
    assert not any(map(port_listens, ports))


def test_listening_port_is_seen_without_connecting() -> None:
    """The listener notices nothing."""
    with socket.create_server((LOOPBACK, 0)) as server:
        server.settimeout(0)

        seen = port_listens(server.getsockname()[1])

        assert seen
        with pytest.raises(BlockingIOError):
            server.accept()


def test_wait_returns_the_value_or_says_what_was_missing() -> None:
    """The first true value is the result."""
    values = iter([None, "", "there"])

    found = wait_until(lambda: next(values), 5, "a value")

    assert found == "there"
    with pytest.raises(WaitTimeoutError, match=r"0\.05 s in vain for: the moon"):
        wait_until(lambda: None, 0.05, "the moon")


def test_program_runs_ends_by_sigterm_and_keeps_its_log(tmp_path: Path) -> None:
    """Standard output and error are in the file, the status is the signal."""
    daemon = _up(_python(SLEEPER, tmp_path / "log"))

    status = daemon.terminate()

    assert status == -signal.SIGTERM
    assert not daemon.running
    assert daemon.log_text() == "up\n"
    daemon.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="another user: needs root")  # to start as him
def test_program_runs_under_the_user_it_was_given(tmp_path: Path) -> None:
    """User, group and further groups are those, and no others."""
    asked = "import os; print(os.getuid(), os.getgid(), os.getgroups(), flush=True)\n" + SLEEPER

    with Daemon(
        ["/usr/bin/python3", "-c", asked],
        log_path=tmp_path / "log",
        uid=NOBODY,
        gid=NOBODY,
        extra_groups=[NOBODY, 4],
    ) as daemon:
        _up(daemon)

    first = daemon.log_text().splitlines()[0]
    assert first in {f"{NOBODY} {NOBODY} [4, {NOBODY}]", f"{NOBODY} {NOBODY} [{NOBODY}, 4]"}


def test_deaf_program_is_killed_after_the_time_given(tmp_path: Path) -> None:
    """SIGTERM first, SIGKILL when it does not help."""
    daemon = _up(_python(STUBBORN, tmp_path / "log"))

    status = daemon.terminate(timeout=0.2)

    assert status == -signal.SIGKILL
    daemon.close()


def test_program_that_ends_before_it_is_ready_is_told_at_once(tmp_path: Path) -> None:
    """The error carries the exit status and the end of the log."""
    daemon = _python("raise SystemExit('bad settings')", tmp_path / "log")

    with pytest.raises(DaemonError, match=r"ended \(1\) before it was ready.*\nbad settings"):
        daemon.wait_ready(lambda: False)

    daemon.close()


def test_kill9_ends_it_like_a_power_cut(tmp_path: Path) -> None:
    """No handler runs."""
    daemon = _up(_python(STUBBORN, tmp_path / "log"))

    daemon.kill9()

    assert daemon.returncode == -signal.SIGKILL
    daemon.close()


def test_successor_can_be_followed_and_is_ended(tmp_path: Path) -> None:
    """A handover: the first process ends, its child goes on and is ours to end."""
    successor = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}])"
    daemon = _python(f"{successor}.pid", tmp_path / "log")
    _up_by_child = wait_until(lambda: "up" in daemon.log_text(), 10, "the successor")
    daemon.wait()
    [child] = session_members(daemon.pid)

    daemon.follow(child)
    running = daemon.running
    daemon.close()

    assert (_up_by_child, running) == (True, True)
    assert not is_alive(child)


def test_stranger_cannot_be_followed(tmp_path: Path) -> None:
    """Only what the program started itself is ended in its place."""
    with _python(SLEEPER, tmp_path / "log") as daemon, pytest.raises(DaemonError, match="session"):
        daemon.follow(os.getpid())


def test_interpreter_that_exits_leaves_no_program(tmp_path: Path) -> None:
    """Whatever a crashed session forgot is ended on its way out."""
    support = Path(__file__).resolve().parents[1]
    forgetful = (
        f"import sys; sys.path.insert(0, {str(support)!r})\n"
        "from pathlib import Path; from support.processes import Daemon\n"
        f"log = Path({str(tmp_path / 'log')!r})\n"
        f"d = Daemon([sys.executable, '-c', {SLEEPER!r}], log_path=log)\n"
        "print(d.pid, flush=True)\n"
        "raise RuntimeError('crash')"
    )

    done = subprocess.run(
        [sys.executable, "-c", forgetful], capture_output=True, text=True, timeout=30, check=False
    )

    assert "crash" in done.stderr
    assert not is_alive(int(done.stdout))
