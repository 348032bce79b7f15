"""What tests of renewals stand on: a CA that gives what it is told to, and clocks that they move.

Who calls: tests of this folder.  Limits: orders are made in the reactor's threads, as in the
sidecar; a test sees each to its end.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater

from openclick.instants import SECOND, Instant, now
from openclick.store import Store, open_store
from openclick.tracking_certificates import TrackingCertificate
from openclick_sidecar.acme_client import AcmeFault
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.certificate_shelf import CertificateShelf
from openclick_sidecar.certificates import bundle
from openclick_sidecar.renewals import Renewals
from support.authority import Authority

NAME, OTHER = "track.kontor.example", "links.andere.example"
DAY = 86_400 * SECOND
DOWN = AcmeFault("acme_unreachable", "https://ca.example/dir: refused", concerns_all=True)
REFUSED = AcmeFault("acme_validation_failed", "the CA could not see that the name is ours")
LIMITED = AcmeFault("acme_rate_limited", "the CA says: too many certificates for kontor.example")


class Orders:
    """A CA that gives what it is told to: certificates, or faults."""

    def __init__(self, ca: Authority) -> None:
        self._ca = ca
        self.faults: list[AcmeFault | None] = []
        self.content: bytes | None = None
        self.asked: list[str] = []
        self.refused_for: dict[str, AcmeFault] = {}
        self.on_ask: Callable[[], object] = lambda: None

    def obtain(self, name: str) -> bytes:
        """Give a certificate, or the next fault."""
        self.asked.append(name)
        self.on_ask()
        fault = self.faults.pop(0) if self.faults else self.refused_for.get(name)
        if fault is not None:
            raise fault
        issued = self._ca.issue(name)
        return bundle(issued.chain, issued.key) if self.content is None else self.content


class World:
    """The renewals of some names on a real store and a real directory; clocks that a test moves."""

    def __init__(self, directory: Path, ca: Authority) -> None:
        self.directory = directory / "certificates"
        self.directory.mkdir()
        self.ca = ca
        self.names = [NAME]
        self.orders = Orders(ca)
        self.store: Store = open_store(f"sqlite:{directory}")
        self.bookkeeper = Bookkeeper(self.store, reactor)
        self.off: Instant = 0
        self.seconds = 0.0
        self.speaks_tls = True
        self.forbidden: set[str] = set()
        self.served: list[str] = []
        self.renewals = self.fresh()

    def fresh(self, *, acme: bool = True) -> Renewals:
        """Return what a restarted sidecar has."""
        shelf = CertificateShelf(self.directory, self.now)
        return Renewals(
            shelf,
            self.bookkeeper,
            reactor,
            lambda _registry: self.names,
            lambda name: self.speaks_tls and shelf.serves(name),
            self.orders if acme else None,
            self.now,
            lambda: self.seconds,
            may_order=lambda name: name not in self.forbidden,
            on_served=self.served.append,
        )

    def now(self) -> Instant:
        """Return the wall clock."""
        return now() + self.off

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.seconds += seconds
        self.off += int(seconds * SECOND)

    async def tick(self) -> None:
        """Look once, and see an order that was begun to its end."""
        await self.renewals.tick()
        for _ in itertools.count():
            if not self.renewals._ordering:
                return
            await deferLater(reactor, 0, lambda: None)

    async def known(self, name: str = NAME) -> TrackingCertificate:
        """Return what is written down."""
        found = await self.bookkeeper.run(lambda r: r.certificates.many_certificates())
        return next(each for each in found if each.name == name)

    def file(self, name: str = NAME) -> Path:
        """Return the file of a name."""
        return self.directory / f"{name}.pem"
