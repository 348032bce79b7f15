"""Keeps a reserve on a file system: what is left of it tells whether more may be written.

Called by whatever makes the store grow, before each batch: the sidecar's `keeper`, `journal` and
judge, the milter's `recorder`.  What removes old rows does not ask: the reserve is its room to
work.  Promises: the file system is asked at most once a second.  Limits: where it cannot be asked
there is room: the write itself will tell what is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from openclick.store import NoRoom

_ASK_SECONDS = 1.0
_SPARE_BYTES = 4_194_304


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

    def require(self, spare_bytes: Callable[[], int]) -> None:
        """Raise NoRoom where the reserve would be touched.

        `spare_bytes` tells how much room removed rows have left inside the file that is to be
        written: that counts too, since the file system does not get it back.
        """
        if not self.enough() and spare_bytes() < _SPARE_BYTES:
            raise NoRoom(f"{self.directory}: fewer than {self.reserve_bytes} bytes are free")


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
