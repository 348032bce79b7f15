"""`make demo`, as a new user runs it."""

import os
import subprocess
from pathlib import Path

from support.fixtures import requires_private_postfix
from support.installation import REPOSITORY

pytestmark = requires_private_postfix

LAST_LINE = "demo: 1 message instrumented, 1 open, 1 click, 2 signed events received"


def processes_of_demo() -> list[str]:
    """Return the command lines that name a demo's directory."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    command = file.read().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if "/tmp/openclick-demo." in command:
                found.append(command)
    return found


def state_of(directory: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of every file below `directory`."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            status = os.lstat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = (status.st_size, status.st_mtime_ns)
    return found


def test_demo_shows_one_mail_all_the_way_and_leaves_nothing() -> None:
    """Exit status 0 and the promised last line; no process, no directory, /etc as it was."""
    etc_before = state_of(Path("/etc"))

    done = subprocess.run(
        ["make", "-s", "demo"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert LAST_LINE == done.stdout.splitlines()[-1]
    assert etc_before == state_of(Path("/etc"))
    assert [] == processes_of_demo()
    assert [] == [name for name in os.listdir("/tmp") if name.startswith("openclick-demo.")]
