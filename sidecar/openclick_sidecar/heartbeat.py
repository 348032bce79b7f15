"""The milter's last sign of life, which it writes into messages.db every ten seconds.

Called by `service` and the status page, in a thread: it stands in a file.
"""

from __future__ import annotations

from contextlib import closing

from openclick.store import Heartbeat, Store, StoreFault


def read_heartbeat(store: Store) -> Heartbeat | None:
    """Return the last heartbeat; None where the milter never ran, or it cannot be read."""
    try:
        with closing(store.message_reader()) as reader:
            return reader.maybe_heartbeat()
    except StoreFault:
        return None
