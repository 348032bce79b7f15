"""Looks at Postfix: its configuration, whether it runs, corrupt/, and the socket as it sees it."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

from openclick_admin.doctor.facts import Knock, PostfixFacts, Stage
from openclick_admin.doctor.passages import passages
from openclick_admin.postconf import Postfix, PostfixFault, is_running, read_postfix
from openclick_admin.postfix_plan import milter_endpoint

_KNOCK = Path(__file__).with_name("socket_knock.py")
_SECONDS = 30.0


def look_at_postfix(config_directory: Path | None, socket: str, *, is_root: bool) -> PostfixFacts:
    """Return what is to be seen of Postfix; `socket` is milter.socket."""
    try:
        postfix = read_postfix(config_directory)
    except PostfixFault as error:
        return PostfixFacts(fault=str(error), running=False)
    queue = Path(postfix.parameters["queue_directory"])
    return PostfixFacts(
        postfix,
        running=is_running(postfix.config_directory),
        corrupt=_files_in(queue / "corrupt"),
        knocks=_knocks(postfix, socket, is_root=is_root),
    )


def _files_in(directory: Path) -> tuple[str, ...] | None:
    """Return the names of all files below, None where we may not look."""
    if not directory.exists():
        return ()
    if not os.access(directory, os.R_OK | os.X_OK):
        return None
    return tuple(sorted(path.name for path in directory.rglob("*") if path.is_file()))


def _knocks(postfix: Postfix, socket: str, *, is_root: bool) -> tuple[Knock, ...]:
    """Knock once in each way in which Postfix does, and as it would where nothing is set up yet."""
    asked = {(passage.named, passage.chrooted) for passage in passages(postfix, socket)}
    own = milter_endpoint(socket, postfix.parameters["queue_directory"])
    ways = sorted(asked or {(own, False)})
    return tuple(
        _knock(postfix, named, chrooted, is_root)
        for named, chrooted in ways
        if is_root or not chrooted
    )


def _knock(postfix: Postfix, endpoint: str, chrooted: bool, is_root: bool) -> Knock:
    wish: dict[str, Any] = {
        "directory": postfix.parameters["queue_directory"],
        "chroot": chrooted,
        "endpoint": endpoint,
        **dict.fromkeys(("uid", "gid", "groups")),
    }
    user = postfix.parameters.get("mail_owner", "postfix")
    if is_root:
        try:
            entry = pwd.getpwnam(user)
        except KeyError:
            return Knock(user, chrooted, Stage.CONNECT, "there is no such user")
        groups = os.getgrouplist(user, entry.pw_gid)
        wish |= {"uid": entry.pw_uid, "gid": entry.pw_gid, "groups": groups}
    else:
        user = pwd.getpwuid(os.geteuid()).pw_name
    return _told(user, chrooted, wish)


def _told(user: str, chrooted: bool, wish: dict[str, Any]) -> Knock:
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, and a program of this package
            [sys.executable, "-I", "-S", str(_KNOCK), json.dumps(wish)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return Knock(user, chrooted, Stage.TALK, f"no answer after {_SECONDS:g} s")
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines() or [f"exit status {error.returncode}"]
        return Knock(user, chrooted, Stage.PATH, said[-1])
    found = json.loads(done.stdout)
    return Knock(user, chrooted, Stage(found["stage"]), found["error"], found["blocked_at"])
