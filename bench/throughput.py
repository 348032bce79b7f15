"""Messages a second through Postfix: 50 KB, 20 sessions, six variants of one smtpd.

Used by four figures.  The clock runs from the first connection to the last 250; deliveries run
meanwhile, as on a real server.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench import load, opendkim
from bench.experiment import Experiment, Values, in_turn

_VARIANTS = ("bare", "tracked", "off", "stranger")
_OPENDKIM_VARIANTS = ("opendkim", "idle")
_SESSIONS = 20


class Throughput(Experiment):
    """Values: messages a second, by variant."""

    name = "throughput"

    @property
    def note(self) -> str:
        """How many messages a point has."""
        return f"{self._count} messages a point"

    @property
    def _count(self) -> int:
        return self.scale.of(usual=600, quick=100)

    @property
    def _variants(self) -> Sequence[str]:
        return _VARIANTS if self.lacking else (*_VARIANTS, *_OPENDKIM_VARIANTS)

    def prepare(self) -> None:
        """Start all variants, look at one mail of each, and warm their processes up."""
        self.lacking = opendkim.missing_reason()
        for variant in self._variants:
            self.say(f"throughput: checking {variant}")
            self.world.check(variant)
            load.submit(self.world, variant, 2 * _SESSIONS, _SESSIONS)

    def round(self, backwards: bool) -> Values:
        """Load each variant in turn."""
        values = {}
        for variant in in_turn(self._variants, backwards):
            self.say(f"throughput: {variant}")
            seconds = load.submit(self.world, variant, self._count, _SESSIONS)
            values[variant] = self._count / seconds
        return values
