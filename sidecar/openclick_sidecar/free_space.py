"""Keeps a reserve on a file system: what is left of it tells whether more may be written.

Called by `keeper` and `journal` before each batch.  Promises: the file system is asked at most once
a second.  Limits: where it cannot be asked there is room: the write itself will tell what is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_ASK_SECONDS = 1.0


class FreeSpace:
    """The file system of `directory`, on which `reserve_bytes` are to stay free."""

    def __init__(self, directory: Path, reserve_bytes: int, monotonic: Callable[[], float]) -> None:
        self.directory = directory
        self.reserve_bytes = reserve_bytes
        self._monotonic = monotonic
        self._asked_at = float("-inf")
        self._enough = True

    def enough(self) -> bool:
        """Whether more than the reserve is free."""
        now = self._monotonic()
        if now - self._asked_at >= _ASK_SECONDS:
            self._asked_at = now
            free = free_bytes(self.directory)
            self._enough = free is None or free >= self.reserve_bytes
        return self._enough


def free_bytes(directory: Path) -> int | None:
    """Return what an unprivileged writer may still write there; None where nobody can tell.

    A directory that is still to be made counts as the nearest one above it.
    """
    above = next((path for path in (directory, *directory.parents) if path.is_dir()), directory)
    try:
        status = os.statvfs(above)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize
