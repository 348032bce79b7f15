"""The check of a tracking domain, as POST /v1/domains/{id}/verify asks for it.

Called by `domains`: `check` in a thread, since name servers may be slow; `record` in the
bookkeeper's.  The same check and the same book as `openclick domain verify`.
"""

from __future__ import annotations

from dataclasses import dataclass

from openclick.domains import SendingDomain, VerificationFailure
from openclick.instants import Instant
from openclick.settings import Config
from openclick.store import Registry
from openclick_sidecar.resolver import CouldNotAsk, Resolver
from openclick_sidecar.verifier import Verification, verify


@dataclass(frozen=True)
class DomainCheck:
    """Checks by the settings of one installation."""

    config: Config

    def check(self, domain: SendingDomain) -> Verification:
        """Look at DNS; blocks."""
        if not domain.tracking_domain:
            return Verification(
                VerificationFailure("subdomain_missing", "there is no tracking subdomain to check")
            )
        try:
            resolver = Resolver(self.config.dns)
        except CouldNotAsk as fault:
            failure = VerificationFailure("dns_no_answer", f"no name server to ask: {fault}")
            return Verification(failure, keeps_state=True)
        host = self.config.sidecar.public_hostname
        return verify(domain.tracking_domain, host, resolver)

    def record(
        self, registry: Registry, domain: SendingDomain, result: Verification, at: Instant
    ) -> SendingDomain | None:
        """Write down what was found; return the domain as it is then, None if it is gone."""
        if result.failure is None:
            registry.domains.record_verified(domain.name, at)
        else:
            registry.domains.record_failure(
                domain.name, at, result.failure, keep_state=result.keeps_state
            )
        return registry.domains.maybe_domain(domain.name)
