"""Counts how often one visitor has asked for one token within the hour.

Called by `judging` for the hits of one batch, in their order.  What earlier batches hold is counted
by the store, at most as far as the limit; what this one holds is counted here.  So the work for one
hit does not grow with the hits that came before it.
"""

from __future__ import annotations

from collections import defaultdict, deque

from openclick.hits import Hit
from openclick.instants import SECOND, Instant
from openclick.store.events import EventLog
from openclick.verdicts import visit_of
from openclick_sidecar.judge import REPEAT_LIMIT

_HOUR = 3600 * SECOND


class Repeats:
    """The visits of one batch."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._seen: defaultdict[tuple[bytes, bytes], deque[Instant]] = defaultdict(
            lambda: deque(maxlen=REPEAT_LIMIT)
        )

    def add(self, hit: Hit) -> None:
        """Count a hit, whatever becomes of it."""
        self._seen[hit.email_id, visit_of(hit)].append(hit.received_at)

    def number(self, hit: Hit) -> int:
        """Return which hit of its visitor within the hour `hit` is, at most one past the limit.

        Hits of an earlier place whose instant is later (the clock was set back) do not count.
        """
        since = hit.received_at - _HOUR
        here = self._seen.get((hit.email_id, visit_of(hit)), ())
        before = sum(since <= at <= hit.received_at for at in here)
        if before < REPEAT_LIMIT:
            before += self._log.count_visits(hit, since, REPEAT_LIMIT - before)
        return before + 1
