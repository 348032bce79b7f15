"""Where large bodies are read: in a thread, so that hits do not wait for somebody's attachments.

Called by `email` and `batch`.  A small body is read at once, since a thread would cost more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.threads import deferToThreadPool

T = TypeVar("T")

_LARGE_BYTES = 100_000


@dataclass(frozen=True)
class Workshop:
    """Runs work on a body, here or in one of the reactor's own threads."""

    reactor: Any

    async def run(self, size_bytes: int, work: Callable[[], T]) -> T:
        """Return what `work` returns; raises what it raises."""
        if size_bytes < _LARGE_BYTES:
            return work()
        done: T = await deferToThreadPool(self.reactor, self.reactor.getThreadPool(), work)
        return done
