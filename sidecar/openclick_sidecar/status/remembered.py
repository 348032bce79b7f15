"""Numbers that take long to count, counted once for many who ask.

Used by `service`.  Promises: at most one count is under way, whoever asks meanwhile gets its
result; a result is kept for some seconds, and for longer where counting took long, so that a busy
page never takes more than a tenth of a processor or of a disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

T = TypeVar("T")
_REST_PER_SECOND_OF_WORK = 9.0


@dataclass
class Remembered(Generic[T]):
    """One number, or many.

    `count` counts in another thread; `monotonic` is a clock in seconds.
    """

    count: Callable[[], Deferred[T]]
    monotonic: Callable[[], float]
    keep_seconds: float
    _waiting: list[Deferred[T]] = field(default_factory=list)
    _last: T | None = None
    _good_until: float = float("-inf")
    _under_way: bool = False

    def get(self) -> Deferred[T]:
        """Return the last result, or count anew.  Fails as `count` does."""
        if self._last is not None and self.monotonic() < self._good_until:
            return succeed(self._last)
        waiting: Deferred[T] = Deferred()
        self._waiting.append(waiting)
        if not self._under_way:
            self._under_way = True
            began_at = self.monotonic()
            self.count().addCallbacks(lambda found: self._found(found, began_at), self._failed)
        return waiting

    def _found(self, found: T, began_at: float) -> None:
        took = self.monotonic() - began_at
        keep = max(self.keep_seconds, _REST_PER_SECOND_OF_WORK * took)
        self._last, self._good_until = found, self.monotonic() + keep
        for waiting in self._end():
            waiting.callback(found)

    def _failed(self, failure: Failure) -> None:
        for waiting in self._end():
            waiting.errback(failure)

    def _end(self) -> list[Deferred[T]]:
        """Return who waits and is still there."""
        self._under_way = False
        waiting, self._waiting = self._waiting, []
        return [one for one in waiting if not one.called]
