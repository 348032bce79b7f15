"""Knocks at the milter's socket as Postfix does: as its user, from its directory, in its chroot.

A program of its own, run by `gather_postfix`, because a process that has given up root and changed
its root directory cannot come back.  Standard library only, and all of it imported before the
chroot.  Its one argument is a JSON object:

    directory   the queue directory, from which relative paths are read
    chroot      whether it becomes the root directory
    uid, gid, groups   whom to become; null for whoever we are
    endpoint    as Postfix names it: unix:PATH or inet:HOST:PORT

Prints one JSON object: stage ("path", "connect", "talk" or "done"), error, blocked_at.

The knock is the first step of the milter protocol, an offer of options, and then a farewell: so
what answers is known to be a milter, and sees no message.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import sys
from typing import Any

_SECONDS = 10.0
_OFFER = struct.pack(">IcIII", 13, b"O", 6, 0x1FF, 0x1FFFFF)
_FAREWELL = struct.pack(">Ic", 1, b"Q")
_MOST_REPLY_BYTES = 1024


class _Failed(Exception):
    """The knock came no further than `stage`."""

    def __init__(self, stage: str, error: str, blocked_at: str = "") -> None:
        super().__init__(error)
        self.told = {"stage": stage, "error": error, "blocked_at": blocked_at}


def main(argument: str) -> None:
    """Knock and print what came of it."""
    wish = json.loads(argument)
    _become(wish)
    kind, _, where = wish["endpoint"].partition(":")
    try:
        _talk(_connected_file(where, wish) if kind == "unix" else _connected_port(where))
        told = {"stage": "done", "error": "", "blocked_at": ""}
    except _Failed as failure:
        told = failure.told
    print(json.dumps(told))


def _become(wish: dict[str, Any]) -> None:
    os.chdir(wish["directory"])
    if wish["chroot"]:
        os.chroot(".")
        os.chdir("/")
    if wish["uid"] is not None:
        os.setgroups(wish["groups"])
        os.setgid(wish["gid"])
        os.setuid(wish["uid"])


def _connected_file(path: str, wish: dict[str, Any]) -> socket.socket:
    _walk(path, wish["directory"], chrooted=wish["chroot"])
    found = socket.socket(socket.AF_UNIX)
    found.settimeout(_SECONDS)
    try:
        found.connect(path)
    except OSError as error:
        raise _Failed("connect", error.strerror or str(error)) from error
    return found


def _walk(path: str, queue_directory: str, *, chrooted: bool) -> None:
    """See that each directory on the way can be entered, as the kernel will."""
    folder = os.path.dirname(path)
    steps = [folder[:end] for end in range(1, len(folder)) if folder[end] == "/"] + [folder]
    for step in filter(None, steps):
        is_whole = step.startswith("/") and not chrooted
        shown = step if is_whole else f"{queue_directory}/{step.lstrip('/')}"
        if not os.path.isdir(step):
            raise _Failed("path", f"there is no {shown}")
        if not os.access(step, os.X_OK):
            raise _Failed("path", "Permission denied", shown)
    if not os.path.lexists(path):
        raise _Failed("path", "No such file or directory")


def _connected_port(where: str) -> socket.socket:
    host, _, port = where.rpartition(":")
    try:
        return socket.create_connection((host.strip("[]"), int(port)), _SECONDS)
    except OSError as error:
        raise _Failed("connect", error.strerror or str(error)) from error


def _talk(connected: socket.socket) -> None:
    with connected:
        connected.settimeout(_SECONDS)
        try:
            connected.sendall(_OFFER)
            head = connected.recv(_MOST_REPLY_BYTES)
        except OSError as error:
            raise _Failed("talk", f"no answer: {error}") from error
        with contextlib.suppress(OSError):
            connected.sendall(_FAREWELL)
    if head[4:5] != b"O":
        raise _Failed("talk", f"the answer begins with {head[:8]!r}" if head else "it hung up")


if __name__ == "__main__":
    main(sys.argv[1])
