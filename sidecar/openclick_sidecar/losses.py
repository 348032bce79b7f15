"""Counts the hits that were answered and are on no disk, and says so without flooding the log.

Called by `keeper` and `recorder`.  Promises: the first loss is said at once, later ones at most
every ten seconds, with their number; none goes uncounted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from openclick.logs import line

log = logging.getLogger(__name__)

_SAY_SECONDS = 10.0


@dataclass
class Losses:
    """The losses since the start; `monotonic` is a clock in seconds."""

    monotonic: Callable[[], float]
    total: int = 0
    _untold: int = 0
    _reason: str = ""
    _say_at: float = float("-inf")

    def count(self, hits: int, reason: str) -> None:
        """Count `hits` as lost."""
        self.total += hits
        self._untold += hits
        self._reason = reason
        self.tell()

    def tell(self) -> None:
        """Say what has not been said yet, where it is time to."""
        if self._untold and self.monotonic() >= self._say_at:
            self._say_at = self.monotonic() + _SAY_SECONDS
            log.error(
                line("hits", "answered but not recorded", hits=self._untold, reason=self._reason)
            )
            self._untold = 0
