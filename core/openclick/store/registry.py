"""openclick.db: domains, webhooks, the event log and its deliveries.

Written by the sidecar (which owns the file) and the command, read by the milter.  One class a
concern, all over one connection, so that a caller can hold what it needs and no more.
"""

from __future__ import annotations

from pathlib import Path

from openclick.store.api_keys import ApiKeyBook, ApiKeyView
from openclick.store.certificates import CertificateBook, CertificateView
from openclick.store.database import open_reading, open_writing
from openclick.store.deliveries import DeliveryBook
from openclick.store.delivery_desk import DeliveryDesk
from openclick.store.domains import DomainBook, DomainView
from openclick.store.event_search import EventSearch
from openclick.store.events import EventLog, JudgeCursor, read_judge_cursor
from openclick.store.retention import Retention
from openclick.store.sends import SendBook
from openclick.store.webhook_figures import WebhookFigureView
from openclick.store.webhooks import WebhookBook

FILE_NAME = "openclick.db"
_SCHEMA = "openclick"
_ADVICE = (
    "; it holds domains and webhooks, so it is never set aside by itself: hits are recorded and "
    "wait to be judged; stop the sidecar, move openclick.db and its -wal and -shm out of the way, "
    "put a back-up in their place (see: openclick store backup), start the sidecar"
)


class Registry:
    """The writing side: one connection, used by one thread at a time.

    `owner` is True for the sidecar, which alone checkpoints; the command leaves that to it.
    """

    def __init__(self, directory: Path, *, owner: bool, create: bool) -> None:
        self._database = open_writing(
            directory / FILE_NAME, _SCHEMA, checkpoints=owner, advice=_ADVICE, create=create
        )
        self.domains = DomainBook(self._database)
        self.certificates = CertificateBook(self._database)
        self.webhooks = WebhookBook(self._database)
        self.events = EventLog(self._database)
        self.deliveries = DeliveryBook(self._database)
        self.delivery_desk = DeliveryDesk(self._database)
        self.retention = Retention(self._database)
        self.api_keys = ApiKeyBook(self._database)
        self.sends = SendBook(self._database)

    @property
    def moved(self) -> bool:
        """Whether another file stands in this one's place by now: open that one, and go on."""
        return self._database.moved

    def spare_bytes(self) -> int:
        """Return how much room there is inside the file, left by removed rows."""
        return self._database.spare_bytes()

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class RegistryReader:
    """Read-only: what the milter, the recorder, the API and the status page ask for."""

    def __init__(self, directory: Path) -> None:
        self._database = open_reading(
            directory / FILE_NAME, _SCHEMA, busy_seconds=0.5, advice=_ADVICE
        )
        self.domains = DomainView(self._database)
        self.certificates = CertificateView(self._database)
        self.webhook_figures = WebhookFigureView(self._database)
        self.api_keys = ApiKeyView(self._database)
        self.event_search = EventSearch(self._database)

    @property
    def moved(self) -> bool:
        """Whether another file stands in this one's place by now: open that one, and read on."""
        return self._database.moved

    def judge_cursor(self) -> JudgeCursor:
        """Return how far the judge has come.  Raises StoreFault."""
        return read_judge_cursor(self._database)

    def close(self) -> None:
        """Close the file."""
        self._database.close()
