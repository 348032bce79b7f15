"""What a milter adds to the time that one client waits for a 50 KB message.

One client, a connection a message, from connecting to the 250.  The variants take turns message by
message, which is as interleaved as it gets.  What is added is a variant's median less that of the
bare Postfix.
"""

from __future__ import annotations

import statistics
import time

from bench import mails
from bench.experiment import BenchFault, Experiment, Values, in_turn
from support.smtp_client import SmtpSession

_VARIANTS = ("bare", "tracked", "opendkim")
_DRAIN_SECONDS = 120.0


class Latency(Experiment):
    """Values: milliseconds, `bare`, and what `tracked` and `opendkim` add."""

    name = "latency"

    @property
    def note(self) -> str:
        """How many messages a point has."""
        return f"median of {self._count} messages a point, in turn"

    @property
    def _count(self) -> int:
        return self.scale.of(usual=100, quick=15)

    def prepare(self) -> None:
        """Start the variants and send a few mails through each."""
        for variant in _VARIANTS:
            for _ in range(10):
                self._milliseconds(variant)

    def round(self, backwards: bool) -> Values:
        """Send a message through each variant, again and again."""
        self.say("latency: " + ", ".join(_VARIANTS))
        self.world.postfix.wait_for_empty_queue(_DRAIN_SECONDS)
        taken: dict[str, list[float]] = {variant: [] for variant in _VARIANTS}
        for turn in range(self._count):
            for variant in in_turn(_VARIANTS, backwards ^ bool(turn % 2)):
                taken[variant].append(self._milliseconds(variant))
        medians = {variant: statistics.median(taken[variant]) for variant in _VARIANTS}
        bare = medians["bare"]
        return {name: median - bare for name, median in medians.items()} | {"bare": bare}

    def _milliseconds(self, variant: str) -> float:
        listener, mail = self.world.listener(variant), self.world.mail(variant)
        began = time.perf_counter()
        with SmtpSession(listener) as session:
            sent = session.send(self.world.sender(variant), [mails.RECIPIENT], mail)
            taken = time.perf_counter() - began
        if not sent.accepted:
            raise BenchFault(f"{variant}: Postfix refused the mail: {sent.code} {sent.text}")
        return taken * 1000
