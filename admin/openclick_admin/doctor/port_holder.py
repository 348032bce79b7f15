"""Which program listens at a port of this machine, by /proc; Linux alone.

Limits: other users' programs are seen by root only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_LISTENING = "0A"
_PROC = Path("/proc")


def holder_of(port: int) -> str:
    """Return the program and its pid, such as nginx[812]; "" where nobody is seen."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not sockets:
        return ""
    for folder in _PROC.iterdir():
        if folder.name.isdigit() and _holds(folder, sockets):
            return f"{_name(folder)}[{folder.name}]"
    return ""


def _inodes(port: int) -> Iterator[str]:
    for table in ("net/tcp", "net/tcp6"):
        try:
            lines = (_PROC / table).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _holds(folder: Path, sockets: set[str]) -> bool:
    try:
        return any(os.readlink(path) in sockets for path in (folder / "fd").iterdir())
    except OSError:
        return False


def _name(folder: Path) -> str:
    try:
        return (folder / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        return "?"
