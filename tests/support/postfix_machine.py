"""What this machine offers a private Postfix: programs, users, a directory, processes.

Who calls: support.postfix and support.fixtures. Promises: what is missing is told in one line with
what was found and what is needed. Limits: looks in the usual system directories only.
"""

import contextlib
import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_LONGEST_SOCKET_PATH = 107
_ASK_SECONDS = 30.0

# The environment of every Postfix command: nothing of the caller's (MAIL_CONFIG, LANG) leaks in.
ENVIRONMENT = {"PATH": _SYSTEM_PATH, "LC_ALL": "C"}
MILTER_DIRECTORY = "openclick"


class PostfixUnavailable(Exception):
    """A private Postfix cannot run here; one line: what was found, what is needed."""


def unavailable_reason() -> str | None:
    """Return why no private Postfix can run here, or None."""
    if os.geteuid() != 0:
        return f"private Postfix: running as uid {os.geteuid()}, root is needed"
    for program in ("postfix", "postconf", "sendmail"):
        if shutil.which(program, path=_SYSTEM_PATH) is None:
            return (
                f"private Postfix: no {program} command found, Debian's package postfix is needed"
            )
    for find, name in ((pwd.getpwnam, "postfix"), (grp.getgrnam, "postdrop")):
        try:
            find(name)
        except KeyError:
            return f"private Postfix: no user or group {name}, Debian's package postfix is needed"
    return None


def pids_working_in(directory: Path) -> Iterator[int]:
    """Yield the processes whose working directory is this one, chrooted or not."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if Path(os.readlink(entry / "cwd")) == directory:
                    yield int(entry.name)


def make_directory(parent: Path | None) -> Path:
    """Make the instance's directory, 0755, where every user may reach it."""
    path = Path(tempfile.mkdtemp(prefix="openclick-postfix-", dir=parent)).resolve()
    path.chmod(0o755)
    problem = _directory_problem(path)
    if problem is not None:
        path.rmdir()
        raise PostfixUnavailable(f"private Postfix: {problem}")
    return path


def _directory_problem(path: Path) -> str | None:
    for folder in path.parents:
        mode = folder.stat().st_mode & 0o777
        if not mode & 0o001:
            return (
                f"{folder} has mode {mode:04o}, user postfix must be able to pass (o+x); set TMPDIR"
            )
    longest = len(str(path / "queue" / MILTER_DIRECTORY / "milter.sock.1234567"))
    if longest > _LONGEST_SOCKET_PATH:
        return f"{path} makes socket paths of {longest} bytes, {_LONGEST_SOCKET_PATH} are possible"
    return None


def compiled_defaults() -> dict[str, str]:
    """Ask postconf for the built-in values that main.cf must repeat; needs no main.cf."""
    names = ("command_directory", "daemon_directory", "mail_version")
    done = subprocess.run(
        [program_path("postconf"), "-d", *names],
        capture_output=True,
        env=ENVIRONMENT,
        text=True,
        timeout=_ASK_SECONDS,
        check=True,
    )
    pairs = (line.partition(" = ")[::2] for line in done.stdout.splitlines())
    return dict(pairs)


def run_on_terminal(argv: Sequence[str], timeout: float) -> tuple[int, str]:
    """Run a Postfix command; return its exit status and what it said.

    It explains a fault on standard error only to a terminal, otherwise to a log that may not be
    there yet. Not a pipe: master, which lives on, would hold its end.
    """
    ours, theirs = os.openpty()
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env=ENVIRONMENT,
            timeout=timeout,
            check=False,
        )
        return done.returncode, _drain(ours).decode("utf-8", "replace").replace("\r\n", "\n")
    finally:
        os.close(theirs)
        os.close(ours)


def _drain(terminal: int) -> bytes:
    os.set_blocking(terminal, False)
    said = bytearray()
    with contextlib.suppress(OSError):  # nothing more to read now, or nobody left to write
        while chunk := os.read(terminal, 65536):
            said += chunk
    return bytes(said)


def postfix_gid() -> int:
    """Return the group that Postfix's daemons run under."""
    return pwd.getpwnam("postfix").pw_gid


def program_path(name: str) -> str:
    """Return where a system program stands."""
    found = shutil.which(name, path=_SYSTEM_PATH)
    if found is None:
        raise PostfixUnavailable(f"private Postfix: no {name} command found in {_SYSTEM_PATH}")
    return found
