"""Whether a tracking domain points here.

Called by `openclick domain verify`.  A domain is verified when its name is a CNAME to
`sidecar.public_hostname`, or has the very addresses of that host (providers flatten a CNAME at the
apex).  Each failure has a stable code and a sentence that says what was found and what is needed.

Promises: a name server that does not answer proves nothing: `keeps_state` is then True and a
verified domain stays verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from openclick.domains import VerificationFailure
from openclick_sidecar.resolver import CouldNotAsk, NameNotFound


class Asks(Protocol):
    """What of a resolver is used here."""

    def cname(self, name: str) -> str | None:
        """Return the target of a CNAME."""

    def addresses(self, name: str) -> frozenset[str]:
        """Return the addresses of a name."""


class Certificates(Protocol):
    """What is asked of TLS."""

    def serves(self, name: str) -> bool:
        """Tell whether this sidecar can serve https for a tracking domain now."""


@dataclass(frozen=True)
class Verification:
    """The result of one check; `failure` is None where the domain is verified."""

    failure: VerificationFailure | None = None
    keeps_state: bool = False


def verify(tracking_domain: str, public_hostname: str, resolver: Asks) -> Verification:
    """Check `tracking_domain` against `public_hostname`; both A-labels in lower case."""
    if not public_hostname:
        return _failed(
            "public_hostname_missing",
            "sidecar.public_hostname is not set; need the name that tracking domains point to",
        )
    try:
        return _verify(tracking_domain, public_hostname, resolver)
    except CouldNotAsk as fault:
        return Verification(
            VerificationFailure(
                "dns_no_answer", f"no name server answered ({fault}); the last state holds"
            ),
            keeps_state=True,
        )


def _verify(tracking_domain: str, public_hostname: str, resolver: Asks) -> Verification:
    need = f"need a CNAME to {public_hostname}"
    try:
        target = resolver.cname(tracking_domain)
    except NameNotFound:
        return _failed("name_not_found", f"{tracking_domain} does not exist; {need}")
    if target == public_hostname:
        return Verification()
    found = _addresses_of(tracking_domain, resolver)
    if not found and target is None:
        return _failed("no_record", f"{tracking_domain} has no CNAME and no address; {need}")
    ours = _addresses_of(public_hostname, resolver)
    if found and found <= ours:
        return Verification()
    points_to = target or ", ".join(sorted(found))
    return _failed("points_elsewhere", f"{tracking_domain} points to {points_to}; {need}")


def _addresses_of(name: str, resolver: Asks) -> frozenset[str]:
    """Return the addresses of a name, none too where it (or what it is a CNAME to) is not there."""
    try:
        return resolver.addresses(name)
    except NameNotFound:
        return frozenset()


def _failed(code: str, message: str) -> Verification:
    return Verification(VerificationFailure(code, message))
