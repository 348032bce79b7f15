"""Finds the clicks that may be of one burst with those that are about to be judged.

Called by `docket`.  A burst can be cut anywhere: by the end of a batch, by a restart, by a store
that was locked in its midst, so that its rest came by way of the journal and stands elsewhere in
hits.db.  So what was judged is asked for by message, and what was not by its place and its instant.

Promises: every other click of a burst is found, wherever it stands, as long as no more than
`AROUND` hits come in a second; the work for a click does not grow with what is stored.  Limits: as
`hit_clicks` tells; what is still in the journal is not seen, and `docket` waits for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from openclick.hits import Click
from openclick.instants import SECOND, Instant
from openclick.store import HitReader
from openclick.store.events import EventLog
from openclick_sidecar.burst import WINDOW

AROUND = 5_000
"""So many hits after a batch are searched for the rest of its bursts."""
REACH = WINDOW + SECOND // 10
"""The rest of a burst lies within its window; hits may be a little out of order."""


def neighbours(clicks: Sequence[Click], last: int, hits: HitReader, log: EventLog) -> list[Click]:
    """Return the clicks that came within a second of `clicks`, from before and after them.

    `last` is the place up to which hits are judged together with them.
    """
    if not clicks:
        return []
    spans = _spans(click.received_at for click in clicks)
    return [
        *_judged(clicks, log),
        *hits.clicks_after(last, (spans[0][0], spans[-1][1]), AROUND),
        *hits.displaced_clicks(last, spans, AROUND),
    ]


def _judged(clicks: Sequence[Click], log: EventLog) -> list[Click]:
    """Return the judged clicks on the same messages."""
    instants: defaultdict[bytes, list[Instant]] = defaultdict(list)
    for click in clicks:
        instants[click.email_id].append(click.received_at)
    return [
        found
        for email_id, at in instants.items()
        for found in log.clicks_near(email_id, min(at) - REACH, max(at) + REACH, AROUND)
    ]


def _spans(instants: Iterable[Instant]) -> list[tuple[Instant, Instant]]:
    """Return what lies within reach of the instants, as spans in order and apart."""
    spans: list[tuple[Instant, Instant]] = []
    for at in sorted(instants):
        if spans and at - REACH <= spans[-1][1]:
            spans[-1] = spans[-1][0], at + REACH
        else:
            spans.append((at - REACH, at + REACH))
    return spans
