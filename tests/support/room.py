"""A room: a clean Debian in which systemd runs as PID 1, in namespaces of its own.

Who calls: tests/packaging. Promises: nothing of the host is seen or changed but one control group;
the room's loopback is its own, so that its Postfix may have port 25; all of it ends with `close`,
and with this interpreter. Limits: needs root, mmdebstrap and a cgroup2 file system, and Debian's
archive while the root is made (`make_root`, `chrooted`); a booted room reaches nobody outside.
"""

import atexit
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from support.closing import ClosedAtTheEnd
from support.processes import wait_until

_CLONE_NEWNET = 0x4000_0000
_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
_NAMESPACES = ("--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup")

# What a container manager does before it starts systemd: a root that is a mount point, the kernel's
# file systems, a /dev with nothing of the host's, and this control group as the topmost.
_BOOT = """
set -eu
echo $$ >"$GROUP/cgroup.procs"
exec unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child=SIGKILL sh -euc '
    mount --make-rprivate /
    mount --bind "$ROOT" "$ROOT"
    mount -t tmpfs -o mode=755 tmpfs "$ROOT/run"
    mount -t sysfs -o ro sysfs "$ROOT/sys"
    mount -t cgroup2 none "$ROOT/sys/fs/cgroup"
    mount -t proc proc "$ROOT/proc"
    mount -t tmpfs -o mode=755 tmpfs "$ROOT/dev"
    for name in null zero full random urandom tty; do
        : >"$ROOT/dev/$name"
        mount --bind "/dev/$name" "$ROOT/dev/$name"
    done
    mkdir "$ROOT/dev/shm" "$ROOT/dev/pts"
    mount -t tmpfs tmpfs "$ROOT/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$ROOT/dev/pts"
    ln -s pts/ptmx "$ROOT/dev/ptmx"
    ln -s /proc/self/fd "$ROOT/dev/fd"
    for number in 0:stdin 1:stdout 2:stderr; do
        ln -s "/proc/self/fd/${number%%:*}" "$ROOT/dev/${number#*:}"
    done
    hostname mail
    cd "$ROOT"
    pivot_root . mnt
    umount -l /mnt
    exec chroot . env -i container=room PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --log-target=journal
'
"""


class RoomError(Exception):
    """A command in the room failed; the text carries what it said."""


def unavailable_reason() -> str | None:
    """Say why no room can be had here, None where it can."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [name for name in ("mmdebstrap", "unshare", "nsenter") if not shutil.which(name)]
    if missing:
        return f"needs {', '.join(missing)}"
    return None if _cgroup2() else "needs a mounted cgroup2 file system"


def make_root(suite: str, packages: Sequence[str] = ()) -> Path:
    """Make a minimal Debian with systemd and `packages` in a new directory, and return it."""
    root = Path(tempfile.mkdtemp(prefix=f"openclick-{suite}-", dir="/var/tmp"))
    include = ",".join(["systemd", "systemd-sysv", "ca-certificates", *packages])
    argv = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--skip=cleanup/apt",
        "--dpkgopt=force-unsafe-io",  # nobody needs a room after a power cut
        f"--include={include}",
    ]
    _checked([*argv, suite, str(root)], env=dict(os.environ), timeout=600)
    root.chmod(0o755)
    return root


def chrooted(root: Path, *argv: str, timeout: float = 300) -> str:
    """Run a command in a root that is not booted, with the host's network; return what it says.

    For what needs Debian's archive: downloads. Services are not started.
    """
    for name in ("resolv.conf", "hosts"):
        shutil.copyfile(Path("/etc", name), root / "etc" / name)
    inner = 'mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; exec chroot "$0" "$@"'
    command = ["unshare", "--mount", "sh", "-euc", inner, str(root), *argv]
    return _checked(command, timeout=timeout).stdout


class Room(ClosedAtTheEnd):
    """One booted root; a context manager that ends it."""

    def __init__(self, root: Path) -> None:
        group = _cgroup2()
        if group is None:
            raise RoomError("no cgroup2 file system is mounted")
        self.root = root
        self._group = group / f"openclick-{os.getpid()}-{root.name}"
        self._group.mkdir()
        # unshare complains when its child is killed, which is how a room ends.
        with open(root / "var" / "log" / "room.log", "wb") as log:
            self._launcher = subprocess.Popen(
                ["sh", "-c", _BOOT],
                env={**_ENVIRONMENT, "ROOT": str(root), "GROUP": str(self._group)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        atexit.register(self.close)
        try:
            self._pid = wait_until(self._child, 20, "systemd of the room")
            wait_until(self._is_up, 60, "the room to be up", 0.1)
        except BaseException:
            self.close()
            raise

    def run(
        self, *argv: str, check: bool = True, timeout: float = 300, as_user: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the room; raises RoomError where it fails, unless `check` is off."""
        if as_user:
            argv = ("setpriv", f"--reuid={as_user}", f"--regid={as_user}", "--init-groups", *argv)
        return _checked([*self._enter("-a"), *argv], check=check, timeout=timeout)

    def run_as_service(self, unit: str, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a running service sees the room: its namespaces and its user."""
        pid = self.run("systemctl", "show", "--value", "--property=MainPID", unit).stdout.strip()
        status = self.run("cat", f"/proc/{pid}/status").stdout
        ids = {line.split()[0]: line.split()[1] for line in status.splitlines() if line}
        inside = ("nsenter", f"--target={pid}", "--mount", "--net", "--")
        user = (f"--reuid={ids['Uid:']}", f"--regid={ids['Gid:']}", "--clear-groups")
        return self.run(*inside, "setpriv", *user, *argv, check=False)

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Have this thread, and those that it starts meanwhile, on the room's loopback."""
        with open("/proc/thread-self/ns/net") as ours, open(f"/proc/{self._pid}/ns/net") as theirs:
            _set_network(theirs.fileno())
            try:
                yield
            finally:
                _set_network(ours.fileno())

    def close(self) -> None:
        """End everything in the room. Idempotent; its files stay."""
        if self._launcher.poll() is None:
            pid = self._child()
            if pid:
                os.kill(pid, signal.SIGKILL)
            else:
                self._launcher.kill()
        self._launcher.wait(30)
        for folder, _, _ in os.walk(self._group, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        atexit.unregister(self.close)

    def _child(self) -> int:
        pid = self._launcher.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        words = children.read_text("ascii").split() if children.exists() else []
        return int(words[0]) if words else 0

    def _is_up(self) -> bool:
        done = self.run("systemctl", "is-system-running", check=False)
        return done.stdout.strip() in ("running", "degraded")

    def _enter(self, *which: str) -> list[str]:
        return ["nsenter", f"--target={self._pid}", *which, "--"]


def remove_root(root: Path) -> None:
    """Remove a root's files; never follows a mount."""
    subprocess.run(["rm", "-rf", "--one-file-system", str(root)], check=True, timeout=120)


def _checked(
    argv: Sequence[str],
    *,
    check: bool = True,
    timeout: float = 300,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        argv,
        env=_ENVIRONMENT if env is None else env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )
    if check and done.returncode != 0:
        said = f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
        raise RoomError(f"{' '.join(argv)} ended with {done.returncode}:\n{said}")
    return done


def _cgroup2() -> Path | None:
    for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines():
        fields, _, rest = line.partition(" - ")
        if rest.split()[0] == "cgroup2":
            return Path(fields.split()[4])
    return None


def _set_network(descriptor: int) -> None:
    # os.setns came with Python 3.12.
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
