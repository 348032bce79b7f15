"""Makes room for connections: each one takes a file descriptor of this process.

Called by `service` at start.  systemd and most shells start a program with a soft limit of 1,024,
which the program may raise to the hard limit by itself.  A sidecar that ran out of descriptors
could neither open its store nor dial a webhook, so some are kept for those.
"""

from __future__ import annotations

import resource

KEPT_FOR_OURSELVES = 200
"""The store's files, webhooks, listeners, the metrics' readers, Python itself."""


def make_room(connections: int) -> int:
    """Raise the limit as far as `connections` need; return how many of them have room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + KEPT_FOR_OURSELVES
    if _is_below(soft, needed):
        soft = needed if not _is_below(hard, needed) else hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(connections, soft - KEPT_FOR_OURSELVES)) if soft >= 0 else connections


def _is_below(limit: int, needed: int) -> bool:
    return limit != resource.RLIM_INFINITY and limit < needed
