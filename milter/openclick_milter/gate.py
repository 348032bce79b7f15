"""The gate that every message passes before it is changed, and that is closed before the end.

Called by `callbacks` at the end of a message, and by `main` when the process is to end although
sessions are still open.  A process that ends between the first edit and the final reply leaves
Postfix with half a message (DESIGN 3.10); so first nobody is let in any more, then the last one who
went in comes out.

Safe to use from libmilter's threads.  Limits: the final reply is libmilter's, sent after the
callback has returned, and nobody tells when; `close` waits a moment for it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Open at first; closed once and for all."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._closed = False

    @contextmanager
    def passing(self) -> Iterator[bool]:
        """Tell whether the gate is open; who went in is waited for until the block ends."""
        with self._changed:
            let_in = not self._closed
            self._inside += let_in
        try:
            yield let_in
        finally:
            if let_in:
                with self._changed:
                    self._inside -= 1
                    self._changed.notify_all()

    def close(self, timeout_seconds: float) -> bool:
        """Let nobody in from now on; return whether all came out within `timeout_seconds`."""
        with self._changed:
            self._closed = True
            return self._changed.wait_for(lambda: not self._inside, timeout_seconds)
