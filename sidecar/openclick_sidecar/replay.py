"""Takes hits from the journal back into the store, a small transaction at a time.

Called by `keeper` between batches.  Promises: how far a file has been read is committed with the
rows it gave, so that a crash neither doubles nor loses any; a file is removed when all of it is in
the store, and only then forgotten there; a hit keeps its hit_id; `first_at`, which the judge reads
in its own thread, passes a hit only when that is in the store.  Limits: a line that is not what was
written costs its own hit, which is counted and said; for a file that cannot be read nobody waits.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from openclick.instants import Instant
from openclick.logs import line
from openclick.store import HitLog, StoreFault
from openclick_sidecar.journal import Journal, Page, first_instant, read_page

log = logging.getLogger(__name__)

_STEP_HITS = 256


@dataclass
class Replay:
    """The journal's way back; `replayed` and `unreadable` count hits since the start."""

    journal: Journal
    replayed: int = 0
    unreadable: int = 0
    _files: deque[Path] = field(default_factory=deque)
    _offset: int | None = None
    _reached: dict[Path, Instant] = field(default_factory=dict)  # replaced, never changed

    def look(self) -> None:
        """Look for files; those that the store took in already do not come again."""
        self._files = deque(self.journal.files())
        self._offset = None
        instants = {path: first_instant(path) for path in self._files}
        self._reached = {path: at for path, at in instants.items() if at is not None}

    def note(self) -> None:
        """Note that there are hits in the journal now."""
        if not self._reached:
            self.look()  # there may be older files, of another process

    @property
    def first_at(self) -> Instant | None:
        """The instant of the first hit that is still in the journal, or shortly before it.

        None where there is none that will be taken back.  For any thread.
        """
        return min(self._reached.values(), default=None)

    @property
    def pending(self) -> bool:
        """Whether there is something to take back."""
        return bool(self._files)

    def step(self, hit_log: HitLog) -> None:
        """Take back some hits, or remove a file that is done.  Raises StoreFault."""
        path = self._files[0]
        try:
            if self._offset is None:
                self._offset = hit_log.replayed(path.name)
            page = read_page(path, self._offset, _STEP_HITS)
            if page is not None:
                self._take_back(hit_log, path, page)
            if page is None or page.last:
                self._next()
        except OSError as error:
            log.error(line("journal", "cannot be read", file=path, reason=error.strerror))
            self._next()
        except StoreFault:
            raise
        except Exception:  # the file stays; the next look begins with it anew
            log.exception(line("journal", "internal error", file=path))
            self._next()

    def _take_back(self, hit_log: HitLog, path: Path, page: Page) -> None:
        if page.end != self._offset:
            hit_log.append_replayed(page.hits, path.name, page.end)
            self._offset = page.end
            self.replayed += len(page.hits)
            self.unreadable += page.unreadable
        if page.unreadable:
            log.error(line("journal", "damaged, hits lost", file=path, hits=page.unreadable))
        if page.hits:
            self._reached = {**self._reached, path: page.hits[-1].received_at}
        if page.last:
            self.journal.remove(path)
            hit_log.forget_journal(path.name)

    def _next(self) -> None:
        done = self._files.popleft()
        self._reached = {path: at for path, at in self._reached.items() if path != done}
        self._offset = None
