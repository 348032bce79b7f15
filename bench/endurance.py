"""What the milter holds in memory after many messages, against what it held after 1,000.

Tracked mail of 50 KB in 20 sessions, through Postfix, into one milter that was started for it.  It
is measured once a run, since it takes the longest of all and memory is little subject to noise;
20,000 messages stand for 100,000 unless the full size is asked for.
"""

from __future__ import annotations

import time

from bench import load, procfs
from bench.experiment import Experiment, Values

_SESSIONS = 20
_FIRST = 1000
_STEP = 1000
_GOAL = 100_000
_REST_SECONDS = 15.0
"""A heartbeat and a half: the milter gives memory back with each."""


class Endurance(Experiment):
    """Values: mebibytes held after the first 1,000 messages and after the last; and the bound."""

    name = "endurance"
    most_rounds = 1

    @property
    def note(self) -> str:
        """How many messages were sent, if it was not the goal's number."""
        few = "" if self._count == _GOAL else f" instead of {_GOAL:,}"
        return f"one round of {self._count:,} messages{few}"

    @property
    def _count(self) -> int:
        return self.scale.of(usual=20_000, quick=2000, full=_GOAL)

    def round(self, backwards: bool) -> Values:
        """Send the messages and look at the milter's memory twice, at rest."""
        self.world.listener("tracked")
        pid = self.world.restart_milter().pid
        self._submit(0, _FIRST)
        first = _resident_at_rest(pid)
        self._submit(_FIRST, self._count)
        last = _resident_at_rest(pid)
        return {"first": first / 2**20, "last": last / 2**20, "bound": 40.0}

    def _submit(self, sent: int, until: int) -> None:
        while sent < until:
            self.say(f"endurance: {sent:,} of {self._count:,} messages")
            load.submit(self.world, "tracked", _STEP, _SESSIONS)
            sent += _STEP


def _resident_at_rest(pid: int) -> int:
    time.sleep(_REST_SECONDS)
    return procfs.resident_bytes(pid)
