"""What goes wrong with the store, as its callers see it.

Everything that SQLite raises becomes a `StoreFault` at the store's door, so that the daemons can
carry on without knowing what the store is made of.  Four kinds can be mended by who meets them: a
busy file by waiting, a moved one by opening it anew, a corrupt one by setting it aside, a row that
cannot be read by doing without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class StoreFault(Exception):
    """The store, or one of its files, cannot be used now; the message says which and why."""


class StoreTooNew(StoreFault):
    """A store file was written by a later version of OpenClick than this one."""


class StoreBusy(StoreFault):
    """Somebody else holds the file's lock, for longer than the caller wanted to wait."""


class StoreMoved(StoreFault):
    """The path names another file than the one that was opened, or none: reopen, and go on."""


class UnreadableRow(StoreFault):
    """A row holds what nobody wrote; its neighbours can be read."""


@dataclass(frozen=True)
class Place:
    """Which file stood at a path: its device and inode."""

    device: int
    inode: int


class StoreCorrupt(StoreFault):
    """The file is damaged, or no database at all; `place` tells which file it was."""

    def __init__(self, path: Path, place: Place | None, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.place = place
