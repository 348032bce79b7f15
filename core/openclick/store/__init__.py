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

import os
from pathlib import Path

from openclick.instants import Instant
from openclick.store.backup import OnProgress, back_up_file, keep_rights
from openclick.store.database import BUSY_SECONDS
from openclick.store.deliveries import Round
from openclick.store.event_search import EventQuery, FoundEvent
from openclick.store.events import FIRST_CURSOR, JudgeCursor, Judgement, LoggedEvent
from openclick.store.faults import (
    NoRoom,
    StoreBusy,
    StoreCorrupt,
    StoreFault,
    StoreMoved,
    StoreTooNew,
    UnreadableRow,
)
from openclick.store.hit_rows import HitPage
from openclick.store.hits import FILE_NAME as HITS_NAME
from openclick.store.hits import HitLog, HitReader
from openclick.store.inspection import (
    SCHEMAS,
    FileReport,
    FileSize,
    file_sizes,
    inspect,
    inspect_directory,
    migrate_file,
    require_known_schema,
)
from openclick.store.messages import FILE_NAME as MESSAGES_NAME
from openclick.store.messages import Heartbeat, MessageLog, MessageReader
from openclick.store.recent import RecentEvent, RecentEvents
from openclick.store.registry import Registry, RegistryReader
from openclick.store.salvage import HitWreck, Salvaged, many_set_aside, open_wreck, set_aside
from openclick.store.statistics import Statistics
from openclick.store.symptoms import Symptoms, WebhookState, sqlite_version
from openclick.store.webhook_figures import WebhookFigures

__all__ = [
    "FIRST_CURSOR",
    "EventQuery",
    "FileReport",
    "FileSize",
    "FoundEvent",
    "Heartbeat",
    "HitLog",
    "HitPage",
    "HitReader",
    "HitWreck",
    "JudgeCursor",
    "Judgement",
    "LoggedEvent",
    "MessageLog",
    "MessageReader",
    "NoRoom",
    "RecentEvent",
    "RecentEvents",
    "Registry",
    "RegistryReader",
    "Round",
    "Salvaged",
    "Statistics",
    "Store",
    "StoreBusy",
    "StoreCorrupt",
    "StoreFault",
    "StoreMoved",
    "StoreTooNew",
    "Symptoms",
    "UnreadableRow",
    "WebhookFigures",
    "WebhookState",
    "keep_rights",
    "open_store",
    "sqlite_version",
]


class Store:
    """A store directory.  Every method opens a file anew; the caller closes what it opened."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def registry(self, *, owner: bool = False, create: bool = True) -> Registry:
        """Open openclick.db to write; `owner` for the sidecar, which alone checkpoints it.

        Without `create` a missing file is a fault.
        """
        return Registry(self.directory, owner=owner, create=create)

    def registry_reader(self) -> RegistryReader:
        """Open openclick.db to read domains."""
        return RegistryReader(self.directory)

    def message_log(self) -> MessageLog:
        """Open messages.db to write; the milter's alone."""
        return MessageLog(self.directory)

    def message_reader(self, *, busy_seconds: float = BUSY_SECONDS) -> MessageReader:
        """Open messages.db to read; `busy_seconds` is how long a read may wait for a lock."""
        return MessageReader(self.directory, busy_seconds)

    def statistics(self) -> Statistics:
        """Open messages.db and openclick.db to count what is in them."""
        return Statistics(self.directory)

    def symptoms(self) -> Symptoms:
        """Open openclick.db to see how each webhook does."""
        return Symptoms(self.directory)

    def recent_events(self) -> RecentEvents:
        """Open openclick.db and messages.db to read the newest events."""
        return RecentEvents(self.directory)

    def file_sizes(self) -> list[FileSize]:
        """Return the sizes of the files, which are not opened."""
        return file_sizes(self.directory)

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of the store's files, in the order in which they are backed up.

        Verdicts first, hits after them: so a hit in the copy may lack its verdict, which the judge
        makes again, and a verdict never lacks the hit.
        """
        return tuple(SCHEMAS)

    def inspect_directory(self) -> tuple[str, ...]:
        """Return what is wrong with the directory's rights.  Raises StoreFault: it is not there."""
        return inspect_directory(self.directory)

    def inspect(self, name: str) -> FileReport:
        """Look at one file: schema, damage, rights, sizes; this reads the whole file.

        Raises StoreFault where nobody may look at it.
        """
        return inspect(self.directory, name)

    def many_set_aside(self) -> list[Path]:
        """Return the corrupt files that were set aside and that nobody has removed yet."""
        return many_set_aside(self.directory)

    def require_known_schema(self, name: str) -> None:
        """Raise StoreTooNew where a file was written by a newer OpenClick.

        Raises StoreFault where it cannot be read.
        """
        require_known_schema(self.directory, name)

    def migrate(self, name: str) -> tuple[int, int] | None:
        """Bring a file to the newest schema; return the schema it had, and the one it has.

        None where there is no such file.  Raises StoreFault, StoreTooNew among others.
        """
        return migrate_file(self.directory, name)

    def back_up(self, name: str, target: Path, on_progress: OnProgress) -> None:
        """Copy a file while it is in use, with its rights.  Raises StoreFault."""
        back_up_file(self.directory / name, target, on_progress)

    def hit_log(self) -> HitLog:
        """Open hits.db to write; the recorder's alone."""
        return HitLog(self.directory)

    def hit_reader(self) -> HitReader:
        """Open hits.db to read."""
        return HitReader(self.directory)

    def has_hits(self) -> bool:
        """Tell whether there is a hits.db: the recorder makes it with the first hit.

        True where nobody can tell, so that whoever opens it learns why.
        """
        return _is_there(self.directory / HITS_NAME)

    def has_messages(self) -> bool:
        """Tell whether there is a messages.db: the milter makes it when it starts.

        True where nobody can tell.
        """
        return _is_there(self.directory / MESSAGES_NAME)

    def holds_hits(self, path: Path) -> bool:
        """Tell whether `path`, which a fault names, is hits.db."""
        return path == self.directory / HITS_NAME

    def hit_wreck(self, path: Path) -> HitWreck:
        """Open a hits.db that `set_aside` has renamed, to save hits from it."""
        return open_wreck(path)

    def set_aside(self, fault: StoreCorrupt, now: Instant) -> Path | None:
        """Rename a corrupt file, and return its new name; None where it is not there any more.

        Called by the file's writing side alone, which then makes a new one.  Raises StoreFault.
        """
        return set_aside(fault, now)

    def judge_cursor(self) -> JudgeCursor:
        """Return how far the judge has read hits.db.  Raises StoreFault."""
        reader = self.registry_reader()
        try:
            return reader.judge_cursor()
        finally:
            reader.close()


def _is_there(path: Path) -> bool:
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def open_store(url: str) -> Store:
    """Return the store that `url` names: "sqlite:" and an absolute directory.

    Raises StoreFault for any other kind of store.
    """
    kind, _, directory = url.partition(":")
    if kind != "sqlite":
        raise StoreFault(f"{url}: unknown kind of store: need sqlite:/DIRECTORY")
    return Store(Path(directory))
