"""How fast the judge goes on while hits come in.

Called by `judging` after every batch.  Judging shares the process, and its interpreter, with the
hit path; a reader waits for his answer, a verdict can wait.  So while hits come faster than they
are judged, the judge pauses for nine times as long as it worked; when they no longer do, it
catches up without a pause.

Limits: under such a load verdicts, and with them events, fall behind until it is over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred

_PAUSE_FACTOR = 9.0
_LONGEST_SECONDS = 1.0


@dataclass
class Pace:
    """`arrived` counts the hits that have come since the start; `sleep` takes seconds."""

    arrived: Callable[[], int]
    sleep: Callable[[float], Deferred[None]]
    _seen: int = field(default=0, init=False)

    async def after(self, judged: int, seconds: float) -> None:
        """Pause after a batch of `judged` hits that took `seconds`, where readers come first."""
        arrived = self.arrived()
        came, self._seen = arrived - self._seen, arrived
        if came > judged:
            await self.sleep(min(_PAUSE_FACTOR * seconds, _LONGEST_SECONDS))
