"""All that https needs beside the listener: certificates, their contexts, CAs and their questions.

Made by `service`.  Promise to the verifier and to whoever else asks: `serves` tells at any moment
whether this sidecar can serve https for a name.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from openclick.domains import NameState
from openclick.instants import now
from openclick.names import BadName, domain_name
from openclick.settings import Config
from openclick.store import Registry, Store
from openclick_sidecar.acme_client import AcmeClient
from openclick_sidecar.bookkeeper import Bookkeeper
from openclick_sidecar.certificate_shelf import CertificateShelf, certificates_directory
from openclick_sidecar.challenges import Challenges, webroot_directory
from openclick_sidecar.counters import HitCounters
from openclick_sidecar.renewals import Renewals
from openclick_sidecar.tls import TlsContexts


class Https:
    """The parts, put together as the settings have it.

    `speaks_tls` is set once a TLS listener is open.
    """

    def __init__(self, config: Config, store: Store, counters: HitCounters) -> None:
        directory = certificates_directory(store, config.tls.certificates_directory)
        self.speaks_tls = False
        self._pointing: frozenset[str] = frozenset()
        self.shelf = CertificateShelf(directory, now)
        self.contexts = TlsContexts(self.shelf, counters)
        self.challenges = Challenges(webroot_directory(store, config.tls.acme_webroot))
        self._acme: AcmeClient | None = None
        if config.acme.directory_url:
            self._acme = AcmeClient(config.acme, directory / "accounts", self.challenges, now)

    @property
    def needs_certificate(self) -> bool:
        """Whether domains are verified only with a certificate in hand: with built-in ACME."""
        return self.speaks_tls and self._acme is not None

    def serves(self, name: str) -> bool:
        """Tell whether https can be served for a tracking domain, an A-label in lower case, now."""
        return self.speaks_tls and self.shelf.serves(name)

    def fault_of_settings(self) -> str:
        """Return what the settings ask for and cannot get, empty for nothing."""
        if self._acme is not None and not self.speaks_tls:
            return (
                "acme.directory_url is set, but there is no TLS listener; need sidecar.tls_listen"
            )
        return ""

    def may_have_certificate(self, name: str) -> bool:
        """Tell whether a proxy may order a certificate for `name`, as of the last look."""
        try:
            return domain_name(name) in self._pointing
        except BadName:
            return False

    def renewals(
        self,
        bookkeeper: Bookkeeper,
        reactor: Any,
        on_served: Callable[[str], object] = lambda _name: None,
    ) -> Renewals:
        """Return what keeps the certificates fresh; `on_served` is told where https has begun."""
        return Renewals(
            self.shelf,
            bookkeeper,
            reactor,
            self._look_up,
            self.serves,
            self._acme,
            now,
            time.monotonic,
            may_order=self.may_have_certificate,
            on_served=on_served,
        )

    def _look_up(self, registry: Registry) -> list[str]:
        """Return the names that want a certificate; keep those that DNS was seen to lead here.

        For a name that leads elsewhere no authority would give one, so none is ordered; former
        names are looked after as long as they lead here, if links can have been sent with them.
        """
        names = [name for name in registry.domains.tracking_names() if name.is_looked_after]
        self._pointing = frozenset(name.name for name in names if name.points_here)
        return [name.name for name in names if name.points_here or name.state is NameState.CURRENT]
