"""A reactor's thread for tests: keeps what other threads hand over until the test runs it.

Who calls: tests of what answers by `callFromThread`. Promises: functions run in the order in which
they came, in the thread that calls `run` or `wait`. Limits: waits end after ten seconds.
"""

import queue
from collections.abc import Callable


class Turns:
    """What of a reactor a recorder needs."""

    def __init__(self) -> None:
        self._calls: queue.Queue[Callable[[], object]] = queue.Queue()

    def callFromThread(  # noqa: N802 - Twisted's name
        self, function: Callable[..., object], *args: object
    ) -> None:
        """Keep a call."""
        self._calls.put(lambda: function(*args))

    def run(self) -> None:
        """Make every call that has come."""
        while not self._calls.empty():
            self._calls.get_nowait()()

    def wait(self) -> None:
        """Wait for one call and make it."""
        self._calls.get(timeout=10)()
