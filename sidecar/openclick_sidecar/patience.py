"""Waits for a thread's last work, but not for ever.

Called by `service` at the end: the recorder writes what it holds, which a disk that hangs would
never let it do, and a process that does not end blocks the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout


async def done_within(reactor: Any, seconds: float, work: Callable[[], object]) -> bool:
    """Do `work` in a thread of its own; return whether it was done in time.

    Where it was not, the thread is left alone; the end of the process does not wait for it.
    """
    done: Deferred[None] = Deferred()

    def run() -> None:
        work()
        reactor.callFromThread(done.callback, None)

    threading.Thread(target=run, name="last-work", daemon=True).start()
    done.addTimeout(seconds, reactor)
    try:
        await done
    except DeferredTimeout:
        return False
    return True
