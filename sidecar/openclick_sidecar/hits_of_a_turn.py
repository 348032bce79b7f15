"""Hands the hits of one turn of the reactor to the recorder together.

Stands between `site` and `recorder`.  In one turn the reactor reads dozens of requests.  Were each
hit handed over at once, the recorder's thread would wake for the first one, commit it alone, and
take the interpreter's lock away in the middle of the others; so they are handed over when the turn
is over, a moment later.  No timer: nothing waits for hits that may yet come.

Promises: each hit reaches the recorder, once, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from openclick.hits import Hit

OnDone = Callable[[bool], None]


class RecordsHits(Protocol):
    """What `site` needs of a recorder."""

    def record(self, hit: Hit, on_done: OnDone) -> None:
        """Hand a hit over; `on_done` tells whether it has reached a disk."""


class RecordsManyHits(Protocol):
    """What is needed of the recorder here."""

    def record_many(self, hits: list[tuple[Hit, OnDone]]) -> None:
        """Hand hits over; each one's function tells whether it has reached a disk."""


class HitsOfATurn:
    """Keeps hits until `when_turn_ends` calls what it is given."""

    def __init__(
        self, recorder: RecordsManyHits, when_turn_ends: Callable[[Callable[[], None]], object]
    ) -> None:
        self._recorder = recorder
        self._when_turn_ends = when_turn_ends
        self._hits: list[tuple[Hit, OnDone]] = []

    def record(self, hit: Hit, on_done: OnDone) -> None:
        """Keep a hit for the end of the turn."""
        if not self._hits:
            self._when_turn_ends(self._pass_on)
        self._hits.append((hit, on_done))

    def _pass_on(self) -> None:
        hits, self._hits = self._hits, []
        self._recorder.record_many(hits)
