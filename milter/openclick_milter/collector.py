"""How often Python looks for objects that only refer to each other.

Called by `main` at the start, by `recorder` between commits, and by a worker of the bench, which
measures what the milter does.  A message makes some hundred objects and no such cycle: reference
counts free them all.  Python's own thresholds look through them nevertheless, and a mail with
thousands of links again and again while it grows, which takes a fifth of its time.

Promise: cycles that libraries or exceptions make, and what they hold on to, are found with the next
heartbeat.
"""

from __future__ import annotations

import gc

_NEW_OBJECTS = 50_000
"""More than a mail with thousands of links makes; a few megabytes."""
_OLD_ROUNDS = 10
"""Python's own: how many rounds of one generation make one of the next."""


def look_rarely() -> None:
    """Look through new objects rarely, and never again through those that exist by now."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, _OLD_ROUNDS, _OLD_ROUNDS)


def look_now() -> None:
    """Look through what was made since the start: a millisecond or two."""
    gc.collect()
