"""Counts rows of the store that cannot be read, and says which, without flooding the log.

Called by `docket` in the bookkeeper's thread; `counts` by whoever reports figures, in any thread.
Promises: every row is counted; of a batch of hits one line is said, which names the places; a
message is counted and said once, however many hits ask for its row.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from openclick.ids import format_email_id
from openclick.logs import line
from openclick.store import HitPage, UnreadableRow

log = logging.getLogger(__name__)

HIT = "hit"
"""A hit that is lost: nobody knows what it was."""
HIT_FIELDS = "hit fields"
"""A hit that was judged without its headers or part of its user agent."""
MESSAGE = "message"
"""A message whose row is as good as gone: its events carry what the token holds."""

_NAMED = 20
_REMEMBERED = 1000


@dataclass
class Damage:
    """Unreadable rows since the start, by what they were."""

    _counts: Counter[str] = field(default_factory=Counter)
    _messages: set[tuple[bytes, bytes]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of_hits(self, page: HitPage) -> None:
        """Count and say what of a batch's rows could not be read."""
        if page.unreadable:
            self._count(HIT, len(page.unreadable))
            text = "rows of hits.db cannot be read, hits lost"
            log.error(line("judge", text, **_which(page.unreadable)))
        if page.damaged:
            self._count(HIT_FIELDS, len(page.damaged))
            text = "rows of hits.db are damaged, hits judged by what is left"
            log.warning(line("judge", text, **_which(page.damaged)))

    def of_message(self, email_id: bytes, copy: bytes, fault: UnreadableRow) -> None:
        """Count and say a message row that cannot be read, the first time."""
        if (email_id, copy) in self._messages:
            return
        if len(self._messages) >= _REMEMBERED:
            self._messages.clear()
        self._messages.add((email_id, copy))
        self._count(MESSAGE, 1)
        log.error(
            line(
                "judge",
                "a message row cannot be read, events lack its data",
                email_id=format_email_id(email_id),
                copy=copy.hex(),
                reason=fault,
            )
        )

    def counts(self) -> dict[str, int]:
        """Return the counts by what was damaged."""
        with self._lock:
            return {HIT: 0, HIT_FIELDS: 0, MESSAGE: 0} | self._counts

    def _count(self, what: str, rows: int) -> None:
        with self._lock:
            self._counts[what] += rows


def _which(positions: Sequence[int]) -> dict[str, object]:
    named = ",".join(map(str, positions[:_NAMED]))
    more = len(positions) - _NAMED
    return {"positions": named, "more": more if more > 0 else None}
