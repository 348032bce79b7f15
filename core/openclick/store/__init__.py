"""The store: one directory of three SQLite files, behind one door.

    openclick.db   domains, webhooks, events, verdicts, deliveries; the sidecar's and the command's
    messages.db    message rows; the milter's
    hits.db        raw hits; the sidecar's recorder's

Each file has one writing side, because SQLite's commit latency collapses when two busy processes
share one.  `open_store` names the store and touches nothing; each method opens one file for one
purpose, in the calling thread's time, and raises StoreFault where it cannot be used.

Nothing outside this package knows SQL.
"""

from __future__ import annotations

from pathlib import Path

from openclick.store.database import BUSY_SECONDS
from openclick.store.events import JudgeCursor, Judgement, LoggedEvent
from openclick.store.faults import StoreFault, StoreTooNew
from openclick.store.hits import HitLog, HitReader
from openclick.store.messages import Heartbeat, MessageLog, MessageReader
from openclick.store.registry import Registry, RegistryReader

__all__ = [
    "Heartbeat",
    "HitLog",
    "HitReader",
    "JudgeCursor",
    "Judgement",
    "LoggedEvent",
    "MessageLog",
    "MessageReader",
    "Registry",
    "RegistryReader",
    "Store",
    "StoreFault",
    "StoreTooNew",
    "open_store",
]


class Store:
    """A store directory.  Every method opens a file anew; the caller closes what it opened."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def registry(self, *, owner: bool = False) -> Registry:
        """Open openclick.db to write; `owner` for the sidecar, which alone checkpoints it."""
        return Registry(self.directory, owner=owner)

    def registry_reader(self) -> RegistryReader:
        """Open openclick.db to read domains."""
        return RegistryReader(self.directory)

    def message_log(self) -> MessageLog:
        """Open messages.db to write; the milter's alone."""
        return MessageLog(self.directory)

    def message_reader(self, *, busy_seconds: float = BUSY_SECONDS) -> MessageReader:
        """Open messages.db to read; `busy_seconds` is how long a read may wait for a lock."""
        return MessageReader(self.directory, busy_seconds)

    def hit_log(self) -> HitLog:
        """Open hits.db to write; the recorder's alone."""
        return HitLog(self.directory)

    def hit_reader(self) -> HitReader:
        """Open hits.db to read."""
        return HitReader(self.directory)


def open_store(url: str) -> Store:
    """Return the store that `url` names: "sqlite:" and an absolute directory.

    Raises StoreFault for any other kind of store.
    """
    kind, _, directory = url.partition(":")
    if kind != "sqlite":
        raise StoreFault(f"{url}: unknown kind of store: need sqlite:/DIRECTORY")
    return Store(Path(directory))
