"""openclick.db: domains, webhooks, the event log and its deliveries.

Written by the sidecar (which owns the file) and the command, read by the milter.  One class a
concern, all over one connection, so that a caller can hold what it needs and no more.
"""

from __future__ import annotations

from pathlib import Path

from openclick.store.database import open_reading, open_writing
from openclick.store.deliveries import DeliveryBook
from openclick.store.domains import DomainBook, DomainView
from openclick.store.events import EventLog
from openclick.store.webhooks import WebhookBook

FILE_NAME = "openclick.db"
_SCHEMA = "openclick"


class Registry:
    """The writing side: one connection, used by one thread at a time.

    `owner` is True for the sidecar, which alone checkpoints; the command leaves that to it.
    """

    def __init__(self, directory: Path, *, owner: bool) -> None:
        self._database = open_writing(directory / FILE_NAME, _SCHEMA, checkpoints=owner)
        self.domains = DomainBook(self._database)
        self.webhooks = WebhookBook(self._database)
        self.events = EventLog(self._database)
        self.deliveries = DeliveryBook(self._database)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class RegistryReader:
    """The milter's side: the domains, read-only."""

    def __init__(self, directory: Path) -> None:
        self._database = open_reading(directory / FILE_NAME, _SCHEMA, busy_seconds=0.5)
        self.domains = DomainView(self._database)

    def close(self) -> None:
        """Close the file."""
        self._database.close()
