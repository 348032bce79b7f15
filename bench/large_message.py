"""A message of 25 MB with attachments: CPU time of the milter, OpenDKIM's on the same, and memory.

CPU is what /proc counts for the milter's process over several messages, one after another.  Memory
is the peak over what a fresh milter held before, against the size of the message.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench import load, mails, procfs
from bench.experiment import Experiment, Scale, Values, in_turn
from bench.world import World

_VARIANTS = ("tracked", "opendkim")
_WARMING_MAILS = 20


class _LargeMessage(Experiment):
    """What both experiments need: the message in a file."""

    def __init__(self, world: World, scale: Scale, say: Callable[[str], None]) -> None:
        super().__init__(world, scale, say)
        self._mail = Path()
        self._size_bytes = 0

    def prepare(self) -> None:
        """Write the message."""
        raw = mails.large_mail()
        self._size_bytes = len(raw)
        self._mail = self.world.directory / "large.eml"
        self._mail.write_bytes(mails.with_bare_newlines(raw))

    def _submit(self, variant: str, count: int) -> None:
        load.submit(self.world, variant, count, 1, self._mail)


class LargeMessageCpu(_LargeMessage):
    """Values: milliseconds of CPU a message, by variant."""

    name = "large message: CPU"

    @property
    def note(self) -> str:
        """How many messages a point has."""
        return f"{self._count} messages a point"

    @property
    def _count(self) -> int:
        return self.scale.of(usual=5, quick=2)

    def round(self, backwards: bool) -> Values:
        """Send the message a few times through each."""
        values = {}
        for variant in in_turn(_VARIANTS, backwards):
            self.say(f"25 MB: CPU, {variant}")
            self._submit(variant, 1)
            pid = (self.world.milter if variant == "tracked" else self.world.opendkim).pid
            before = procfs.cpu_seconds(pid)
            self._submit(variant, self._count)
            values[variant] = (procfs.cpu_seconds(pid) - before) / self._count * 1000
        return values


class LargeMessageMemory(_LargeMessage):
    """Values: mebibytes, `growth` of a fresh milter's memory and `message`, the message's size."""

    name = "large message: memory"

    def round(self, backwards: bool) -> Values:
        """Start a milter, let it work a little, and send it the message once."""
        self.say("25 MB: memory")
        listener_first = self.world.listener("tracked")
        assert listener_first is not None
        pid = self.world.restart_milter().pid
        load.submit(self.world, "tracked", _WARMING_MAILS, 1)
        procfs.forget_peak(pid)
        before = procfs.resident_bytes(pid)
        self._submit("tracked", 1)
        growth = procfs.peak_bytes(pid) - before
        return {"growth": growth / 2**20, "message": self._size_bytes / 2**20}
