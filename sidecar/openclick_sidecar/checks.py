"""Makes the check of tracking domains that the settings ask for.

Called by `service` and by `openclick domain verify`: both check in the same way, whichever process
they are.  What it makes is blocking and is called in a thread, never while mail or a hit waits.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from openclick.domain_checks import CheckResult, Patience, patience_of
from openclick.domains import SendingDomain, VerificationFailure
from openclick.settings import Config
from openclick.tokens import KeyRing
from openclick_sidecar import proof, verifier
from openclick_sidecar.resolver import CouldNotAsk, Resolver
from openclick_sidecar.self_fetch import SelfFetch, Target
from openclick_sidecar.verifier import Certificates, Surroundings

_OWN_PORTS = {"https": 443, "http": 80}


class NoCertificates:
    """Where this sidecar speaks no TLS itself."""

    needs_certificate = False

    def serves(self, name: str) -> bool:
        """Tell that https is not served by this sidecar."""
        return False


class _NobodyToAsk:
    """Stands where there is no name server to ask; says so for every name."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def cname(self, name: str) -> str | None:
        """Raise CouldNotAsk."""
        raise CouldNotAsk(f"{name}: {self._reason}")

    def addresses(self, name: str) -> frozenset[str]:
        """Raise CouldNotAsk."""
        raise CouldNotAsk(f"{name}: {self._reason}")


@dataclass(frozen=True)
class DomainChecks:
    """Checks of one installation; `ring` returns the link keys, or raises KeyFault."""

    config: Config
    ring: Callable[[], KeyRing]
    certificates: Certificates = field(default_factory=NoCertificates)

    @property
    def patience(self) -> Patience:
        """For how long checks may fail."""
        settings = self.config.verification
        return patience_of(settings.unverify_after_hours, settings.check_every_seconds)

    def check(
        self, domain: SendingDomain, on_step: Callable[[str], None] = lambda _step: None
    ) -> CheckResult:
        """Check one domain; see `verifier.verify`.  Raises KeyFault."""
        return verifier.verify(domain, self._surroundings(), on_step)

    def points_here(self, name: str) -> bool | None:
        """Tell whether a name points here; None where no name server could be asked."""
        return verifier.points_here(name, self._surroundings())

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            public_hostname=self.config.sidecar.public_hostname,
            scheme=self.config.links.scheme,
            needs_certificate=self.certificates.needs_certificate,
            resolver=self._resolver(),
            certificates=self.certificates,
            reach=self._reach,
        )

    def _resolver(self) -> verifier.Asks:
        # Made anew for each check: /etc/resolv.conf may have changed.
        try:
            return Resolver(self.config.dns)
        except CouldNotAsk as fault:
            return _NobodyToAsk(str(fault))

    def _reach(
        self, scheme: str, name: str, addresses: frozenset[str]
    ) -> VerificationFailure | None:
        port = self.config.links.port_of(scheme) or _OWN_PORTS[scheme]
        path = proof.challenge_path(os.urandom(proof.NONCE_BYTES))
        expected = proof.answer(self.ring(), name, path)
        fetch = SelfFetch(self.config.verification.fetch_timeout_seconds)
        return fetch.fetch(Target(scheme, name, port, path), addresses, expected)
