"""Ports, waits, and programs started for a test.

Who calls: functional tests, the demo and the bench, and the servers in this package.
Promises: every wait is bounded and says what it waited for; a program is ended by its own pid
only; what is still alive when this interpreter exits is killed. Limits: Linux (/proc, pidfd); an
interpreter that is itself killed with SIGKILL cannot tidy up.
"""

import atexit
import contextlib
import os
import random
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from support.closing import ClosedAtTheEnd

T = TypeVar("T")

LOOPBACK = "127.0.0.1"
# Below Linux's range for outgoing connections (32768 and up), so that nothing takes a port
# between its choice and its use by accident.
_PORTS = range(10_000, 32_000)
_TCP_LISTEN = "0A"
_handed_out: set[int] = set()


class WaitTimeoutError(TimeoutError):
    """Something did not happen in time; the text says what."""


class DaemonError(RuntimeError):
    """A program ended, or did not become ready; the text carries the end of its log."""


def free_port() -> int:
    """Return a loopback port, free for TCP and UDP, that was not handed out before."""
    for port in random.sample(_PORTS, 500):
        if port not in _handed_out and _can_bind(port):
            _handed_out.add(port)
            return port
    raise RuntimeError(f"no free port found on {LOOPBACK} in {_PORTS.start}-{_PORTS.stop - 1}")


def _can_bind(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return False
    return True


def port_listens(port: int) -> bool:
    """Tell whether some process listens on this TCP port, without connecting to it."""
    ending = f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        if state == _TCP_LISTEN and local.endswith(ending):
            return True
    return False


def wait_until(
    predicate: Callable[[], T | None], timeout: float, what: str, pause_seconds: float = 0.01
) -> T:
    """Poll until `predicate` is true and return its value; WaitTimeoutError names `what`."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise WaitTimeoutError(f"waited {timeout:g} s in vain for: {what}")
        time.sleep(pause_seconds)


def is_alive(pid: int) -> bool:
    """Tell whether this process runs; one that ended and was not yet reaped does not."""
    stat = _stat_fields(pid)
    return stat is not None and stat[0] not in "ZX"


def session_members(session: int) -> list[int]:
    """Return the living processes of one session, by /proc."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            stat = _stat_fields(int(entry.name))
            if stat is not None and int(stat[3]) == session and stat[0] not in "ZX":
                members.append(int(entry.name))
    return members


def _stat_fields(pid: int) -> list[str] | None:
    """State, parent, group, session …: what follows the name, which may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None


class Daemon(ClosedAtTheEnd):
    """One program under a user of its own, its output in a file.

    It gets a session of its own: Ctrl-C in the terminal does not reach it, and a successor that
    it starts (a handover) can be told from a stranger.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log_path: Path,
        name: str = "",
        uid: int | None = None,
        gid: int | None = None,
        extra_groups: Sequence[int] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        umask: int = -1,
    ) -> None:
        self.name = name or Path(argv[0]).name
        self.log_path = log_path
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=uid,
                group=gid,
                extra_groups=extra_groups,
                env=env,
                cwd=cwd,
                umask=umask,
                start_new_session=True,
            )
        self._session = self._process.pid
        self._pid = self._process.pid
        self._pidfd = os.pidfd_open(self._pid)
        _registry.append(self)

    @property
    def pid(self) -> int:
        """The process that is watched and ended: the one started, or the one followed."""
        return self._pid

    @property
    def running(self) -> bool:
        """Whether that process is alive."""
        return self._pidfd >= 0 and not self._ended_within(0)

    @property
    def returncode(self) -> int | None:
        """Exit status of the program first started (negative: signal), None while it runs."""
        return self._process.poll()

    def log_text(self) -> str:
        """Everything the program wrote, standard output and error."""
        return self.log_path.read_text("utf-8", "replace")

    def wait_ready(self, predicate: Callable[[], object], timeout: float = 10.0) -> None:
        """Wait until `predicate` is true; fail at once when the program ends before."""

        def ready_or_gone() -> bool:
            if predicate():
                return True
            if not self.running:
                raise DaemonError(self._story(f"ended ({self.returncode}) before it was ready"))
            return False

        try:
            wait_until(ready_or_gone, timeout, self.name)
        except WaitTimeoutError as error:
            raise DaemonError(self._story(f"was not ready after {timeout:g} s")) from error

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def wait(self, timeout: float = 10.0) -> int | None:
        """Wait for the end; return the exit status (None for a followed process)."""
        if not self._ended_within(timeout):
            raise WaitTimeoutError(self._story(f"was still running after {timeout:g} s"))
        return self._process.wait(timeout) if self._pid == self._process.pid else None

    def terminate(self, timeout: float = 10.0) -> int | None:
        """SIGTERM, and after `timeout` SIGKILL; return the exit status."""
        self.signal(signal.SIGTERM)
        if not self._ended_within(timeout):
            self.signal(signal.SIGKILL)
        return self.wait()

    def kill9(self) -> None:
        """End it as a power cut would."""
        self.signal(signal.SIGKILL)
        self.wait()

    def follow(self, pid: int) -> None:
        """Watch and end a successor from now on; it must have been started by this program."""
        if os.getsid(pid) != self._session:
            raise DaemonError(f"{self.name}: process {pid} is not of session {self._session}")
        os.close(self._pidfd)
        self._pid, self._pidfd = pid, os.pidfd_open(pid)

    def close(self, timeout: float = 10.0) -> None:
        """Terminate it, kill what else is left of its session, and forget it. Idempotent."""
        if self._pidfd < 0:
            return
        self.terminate(timeout)
        for pid in session_members(self._session):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.returncode is None:
            self._process.wait(timeout)
        os.close(self._pidfd)
        self._pidfd = -1
        _registry.remove(self)

    def _ended_within(self, timeout: float) -> bool:
        # A pidfd is readable from the end on, reaped or not, child or not.
        if self._pidfd < 0:
            return True
        # And poll, not select: a test with a thousand connections has descriptors past 1,023.
        ended = select.poll()
        ended.register(self._pidfd, select.POLLIN)
        return bool(ended.poll(timeout * 1000))

    def _story(self, what: str) -> str:
        ending = "\n".join(self.log_text().splitlines()[-20:])
        return f"{self.name} (pid {self._pid}) {what}; its log {self.log_path} ends:\n{ending}"


_registry: list[Daemon] = []


def living_daemons() -> Iterator[Daemon]:
    """Return the daemons that nobody has closed yet."""
    return iter(tuple(_registry))


@atexit.register
def close_daemons() -> None:
    """Close what is left. Runs at interpreter exit, so that a crashed session leaves nothing."""
    for daemon in living_daemons():
        daemon.close(timeout=2.0)
