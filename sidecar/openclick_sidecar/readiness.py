"""Whether hits can be served as promised, and whether the process is still going round.

Called by `service`.  `Readiness` gives the reasons that /readyz prints, `Pulse` the sign of life
that systemd's watchdog waits for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from openclick.instants import SECOND, Instant
from openclick.keys import KeyDirectory, KeyFault
from openclick_sidecar.site import TrackingSite
from openclick_sidecar.waiting_room import WaitingRoom

_LOSS_SECONDS = 30
"""How long a loss counts: afterwards hits must be let in again, or nobody would see it mended."""


@dataclass(frozen=True)
class Readiness:
    """Looks at what a hit needs: keys, the recorder, and a disk that takes it."""

    keys: KeyDirectory
    site: TrackingSite
    recorder_runs: Callable[[], bool]
    now: Callable[[], Instant]

    def reasons(self) -> list[str]:
        """Return why hits cannot be served as promised; nothing where they can."""
        found = []
        try:
            self.keys.ring()
        except KeyFault as fault:
            found.append(f"keys: {fault}")
        if not self.recorder_runs():
            found.append("hits: the recorder has ended")
        lost_at = self.site.lost_at
        if lost_at is not None and self.now() - lost_at < _LOSS_SECONDS * SECOND:
            found.append("hits: the last one reached no disk")
        return found


class Pulse:
    """Beats only if the recorder has got on since the last beat, or has nothing to do.

    The reactor alone proves little: it goes round happily before a disk that hangs.
    """

    def __init__(self, room: WaitingRoom, beat: Callable[[], None]) -> None:
        self._room = room
        self._beat = beat
        self._passed = -1

    def tick(self) -> None:
        """Beat, if there is a reason to."""
        if not self._room.waiting or self._room.passed != self._passed:
            self._beat()
        self._passed = self._room.passed
