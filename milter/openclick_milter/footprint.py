"""What the process holds in memory: glibc's free memory, and Python's reference cycles.

Called by `main` at the start, by `recorder` with each heartbeat, and by a worker of the bench that
measures what the milter does.

Promises: memory that messages needed is given back within a heartbeat, after a message of 25 MB as
after thousands of small ones; cycles that libraries or exceptions make, and what they hold on to,
are found with the next heartbeat.  Limits: elsewhere than on glibc it keeps what malloc keeps.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc

_MALLOC_OPTIONS = {  # malloc.h
    -8: 2,  # M_ARENA_MAX
    -3: 1 << 20,  # M_MMAP_THRESHOLD
    -1: 4 << 20,  # M_TRIM_THRESHOLD
}
_NEW_OBJECTS = 50_000
"""More than a mail with thousands of links makes; a few megabytes."""
_OLD_ROUNDS = 10
"""Python's own: how many rounds of one generation make one of the next."""


def tune_malloc() -> None:
    """Have glibc keep little memory that is not in use.

    Two arenas instead of eight a processor: libmilter's threads come and go, and each arena that
    one of them touched keeps what it once needed (42 MiB at rest against 37 after 3,000 messages).
    Fixed thresholds: after one large message it would raise them, and keep that message's memory
    for good (24 MiB after one of 25 MB).
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in _MALLOC_OPTIONS.items():
            mallopt(option, value)


def look_rarely() -> None:
    """Look for cycles among new objects rarely, and never again among those that exist by now.

    A message makes some hundred objects and no cycle: reference counts free them all.  Python's own
    thresholds look through them nevertheless, and a mail with thousands of links again and again
    while it grows, which takes a fifth of its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, _OLD_ROUNDS, _OLD_ROUNDS)


def tidy_up() -> None:
    """Free the cycles made since the start, and give free pages back: a few milliseconds."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
