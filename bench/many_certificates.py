"""How long the sidecar takes from its start to the first hit by https: with 1,000 certificates, 1.

Each certificate has its sending domain.  The clock stops when a browser's handshake and a hit are
answered for one of the names, so that whatever is put off to the first hello counts too.
"""

from __future__ import annotations

import time
from contextlib import closing

from bench.experiment import BenchFault, Experiment, Values, in_turn
from bench.message_rows import TRACKING_DOMAIN
from bench.tracker import Tracker
from openclick.domains import SendingDomain
from support.http_client import fetch
from support.processes import LOOPBACK

MANY, ONE = "many certificates", "one certificate"


class ManyCertificates(Experiment):
    """Values: seconds from the start of the process to the first answer, with many and with one."""

    name = "many certificates"

    @property
    def note(self) -> str:
        """How many they are."""
        return f"{self._count:,} certificates and domains"

    @property
    def _count(self) -> int:
        return self.scale.of(usual=1000, quick=100)

    def prepare(self) -> None:
        """Make the certificates and the domains."""
        self._few = self.world.tracker
        self._many = self.world.crowded_tracker
        names = [f"track.d{number}.example" for number in range(self._count - 1)]
        self.say(f"many certificates: issuing {self._count:,}")
        for name in names:
            self._many.authority.put(self._many.certificates, name)
        for tracker, those in ((self._many, [*names, TRACKING_DOMAIN]), (self._few, [])):
            with closing(tracker.store.registry(owner=True)) as registry:
                for number, name in enumerate(those):
                    sending = name.partition(".")[2]
                    registry.domains.add(
                        SendingDomain(f"domain_{number}", sending, True, True, "track", 1)
                    )

    def round(self, backwards: bool) -> Values:
        """Start each once."""
        values = {}
        for name in in_turn((MANY, ONE), backwards):
            self.say(f"many certificates: {name}")
            values[name] = self._start(self._many if name == MANY else self._few)
        return values

    def _start(self, tracker: Tracker) -> float:
        begin = time.monotonic()
        with tracker.serving():
            answer = fetch(
                f"https://{TRACKING_DOMAIN}{tracker.probe.open_path}",
                (LOOPBACK, tracker.tls_port),
                tls=tracker.authority.client("h2", "http/1.1"),
                timeout=30,
            )
            taken = time.monotonic() - begin
        if answer.status != 200:
            raise BenchFault(f"the first hit was answered {answer.status}")
        return taken
