"""`make demo` in a bare Debian: by sudo, as root, and beside a Postfix that runs.

Nothing is there at first but Debian's minimum, make and sudo. Each run has a process namespace of
its own, so that what it leaves behind is seen: no process means no listening port either. From the
second run on there is no network but loopback, because everything is installed by then.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.room import make_root, remove_root, unavailable_reason

from .conftest import REPOSITORY, SUITES

LAST_LINE = "demo: 1 message instrumented, 1 open, 1 click, 2 signed events received"
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
_ENTER = """
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
[ "$1" = online ] || ip link set lo up
chroot "$0" sh -euc "$2"
"""
# Two are there whatever happens: the shell itself, and the one that has entered the root.
_LEFT = """
for process in /proc/[0-9]*; do
    [ "${process#/proc/}" = 1 ] || [ "${process#/proc/}" = $$ ] || cat "$process/cmdline"
done >/srv/left
tr '\\0' ' ' </srv/left
"""


@pytest.fixture(scope="module", params=SUITES)
def bare(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Give a bare Debian with a checkout of somebody's who may sudo."""
    reason = unavailable_reason()
    if reason is not None:
        pytest.skip(reason)  # not root, or no chroot to be had here
    root = make_root(request.param, ("make", "sudo"))
    try:
        tree = root / "srv" / "openclick"
        source_tree = REPOSITORY / "packaging" / "source-tree"
        subprocess.run(["bash", str(source_tree), str(REPOSITORY), str(tree)], check=True)
        for name in ("resolv.conf", "hosts"):
            shutil.copyfile(Path("/etc", name), root / "etc" / name)
        inside(
            root,
            "useradd --create-home --home-dir /srv/somebody --shell /bin/sh somebody\n"
            "chown -R somebody: /srv/openclick\n"
            "echo 'somebody ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/somebody",
        )
        yield root
    finally:
        remove_root(root)


def inside(root: Path, script: str, *, online: bool = True) -> list[str]:
    """Run a script in the root and a process namespace; return what it prints, line by line."""
    namespaces = ["--mount", "--pid", "--fork", "--kill-child", *([] if online else ["--net"])]
    done = subprocess.run(
        ["unshare", *namespaces, "sh", "-euc", _ENTER, str(root), "online" * online, script],
        env=_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout.splitlines()


def demo_ends_well(said: list[str]) -> bool:
    """Tell whether a run showed all that it promises."""
    text = "\n".join(said)
    shown = ("/c/", "/o/", "email.opened", "email.clicked", "both signatures verified")
    return said[-1] == LAST_LINE and all(word in text for word in shown)


def test_by_sudo_on_a_bare_debian(bare: Path) -> None:
    """It installs what it needs without a question, and leaves no process."""
    said = inside(
        bare,
        "cd /srv/openclick\nexport HOME=/srv/somebody\n"
        "setpriv --reuid=somebody --regid=somebody --init-groups make -s demo\n" + _LEFT,
    )

    assert demo_ends_well(said)
    assert not (bare / "etc/postfix/main.cf").exists()
    assert [path.name for path in (bare / "tmp").iterdir()] == []


def test_as_root_and_again(bare: Path) -> None:
    """Nothing is to be installed any more, so it needs no network."""
    before = files_below(bare / "etc")

    said = inside(bare, "make -s -C /srv/openclick demo\n" + _LEFT, online=False)

    assert demo_ends_well(said)
    assert files_below(bare / "etc") == before


def test_beside_a_postfix_that_runs(bare: Path) -> None:
    """The machine's own keeps its configuration and goes on."""
    shutil.copyfile(bare / "usr/share/postfix/main.cf.debian", bare / "etc/postfix/main.cf")
    answers = "exec 3<>/dev/tcp/127.0.0.1/25; read -r line <&3; echo ${line%% *}"

    said = inside(
        bare,
        "postconf -e maillog_file=/var/log/mail.log inet_interfaces=loopback-only\n"
        "postfix start 2>&1\nfind /etc/postfix -type f -exec sha256sum {} + >/srv/before\n"
        "make -s -C /srv/openclick demo\n"
        "find /etc/postfix -type f -exec sha256sum {} + | cmp - /srv/before\n"
        f"bash -c '{answers}'\npostfix stop 2>&1",
        online=False,
    )

    end = said.index(LAST_LINE)
    assert demo_ends_well(said[: end + 1])
    assert said[end + 1] == "220"


def files_below(directory: Path) -> dict[str, int]:
    """Return when each file was last changed."""
    return {str(path): path.lstat().st_mtime_ns for path in directory.rglob("*")}
