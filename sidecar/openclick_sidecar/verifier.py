"""Whether a tracking domain points here: the three parts of a check.

Called by `checks`, in a thread.  A domain is verified when

1. its name is a CNAME to `sidecar.public_hostname`, or has addresses of that host and no others
   (providers flatten a CNAME at the apex, and a stale address would break half of the readers);
   beside a CNAME too, addresses that are not that host's are refused;
2. where this sidecar speaks TLS itself, a certificate for it is in hand;
3. a one-time challenge that is asked through that name reaches this very sidecar: over https where
   that is wanted or was reached before, else over https or http, whichever comes through.  With
   `verification = "dns"` this part is left out, for machines that cannot reach themselves.

Each failure has a stable code and a sentence that says what was found and what is needed.
Promises: a name server that does not answer proves nothing: `keeps_state` is then True and a
verified domain stays verified.  Nothing is ever fetched from an address that is not one of
`sidecar.public_hostname`: whoever owns a tracking domain could name any, of the machine's own
network too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from openclick.domain_checks import CheckResult
from openclick.domains import Scheme, SendingDomain, VerificationFailure, VerificationMode
from openclick_sidecar.resolver import CouldNotAsk, NameNotFound
from openclick_sidecar.self_fetch import UNREACHABLE


class Asks(Protocol):
    """What of a resolver is used here."""

    def cname(self, name: str) -> str | None:
        """Return the target of a CNAME."""

    def addresses(self, name: str) -> frozenset[str]:
        """Return the addresses of a name."""


class Certificates(Protocol):
    """What is asked of TLS."""

    @property
    def needs_certificate(self) -> bool:
        """Whether domains are verified only with a certificate in hand: with built-in ACME."""

    def serves(self, name: str) -> bool:
        """Tell whether this sidecar can serve https for a tracking domain now."""


Reach = Callable[[str, str, frozenset[str]], VerificationFailure | None]
"""Asks for a challenge over a scheme ("https", "http") under a name at its addresses; returns why
this sidecar was not reached, None where it was."""


@dataclass(frozen=True)
class Surroundings:
    """What a check needs to know and whom it asks.

    `scheme` is the default of domains that have no word of their own.  `needs_certificate` says
    that this sidecar obtains certificates, so that none is verified before it has its own.
    """

    public_hostname: str
    scheme: str
    needs_certificate: bool
    resolver: Asks
    certificates: Certificates
    reach: Reach


class _Failed(Exception):
    """A check that failed; `points_here` is what DNS has said by then."""

    def __init__(self, code: str, message: str, points_here: bool | None) -> None:
        super().__init__(message)
        self.failure = VerificationFailure(code, message)
        self.points_here = points_here


def verify(
    domain: SendingDomain, around: Surroundings, on_step: Callable[[str], None] = lambda _step: None
) -> CheckResult:
    """Check the tracking domain of `domain`; `on_step` is told what is looked at now."""
    name, here = domain.tracking_domain, None
    try:
        on_step(f"asking name servers for {name}")
        addresses = _found_here(name, around)
        here = True
        return CheckResult(https=_served(domain, addresses, around, on_step), points_here=True)
    except CouldNotAsk as fault:
        text = f"no name server answered ({fault}); the last state holds"
        return CheckResult(
            VerificationFailure("dns_no_answer", text), keeps_state=True, points_here=here
        )
    except _Failed as fault:
        return CheckResult(fault.failure, points_here=fault.points_here)


def points_here(name: str, around: Surroundings) -> bool | None:
    """Tell whether DNS says that `name` points here; None where it could not be asked."""
    try:
        _found_here(name, around)
    except CouldNotAsk:
        return None
    except _Failed as fault:
        return fault.points_here
    return True


def _found_here(name: str, around: Surroundings) -> Callable[[], frozenset[str]]:
    """Return what asks for the addresses of a name that points here.

    They are needed by the challenge alone.  Raises CouldNotAsk, _Failed.
    """
    host, resolver = around.public_hostname, around.resolver
    if not name:
        raise _Failed(
            "subdomain_missing",
            "the domain has no tracking subdomain; need one such as track",
            None,
        )
    if not host:
        raise _Failed(
            "public_hostname_missing",
            "sidecar.public_hostname is not set, and this machine's own name is none that the "
            "internet could know; need the name that tracking domains point to",
            None,
        )
    need = f"need a CNAME to {host}"
    try:
        target = resolver.cname(name)
    except NameNotFound:
        raise _Failed("name_not_found", f"{name} does not exist; {need}", False) from None
    if target == host:
        return lambda: _addresses_behind(name, host, resolver)
    found = _addresses_of(name, resolver)
    if not found and target is None:
        raise _Failed("no_record", f"{name} has no CNAME and no address; {need}", False)
    if not found or not found <= _addresses_of(host, resolver):
        points_to = target or ", ".join(sorted(found))
        raise _Failed("points_elsewhere", f"{name} points to {points_to}; {need}", False)
    return lambda: found


def _addresses_behind(name: str, host: str, resolver: Asks) -> frozenset[str]:
    """Return the addresses of a name that is a CNAME to `host`.  Raises CouldNotAsk, _Failed.

    A name server may answer a question for addresses without the CNAME, and with any it likes.
    """
    found = _addresses_of(name, resolver)
    if foreign := found - _addresses_of(host, resolver):
        raise _Failed(
            "foreign_address",
            f"{name} is a CNAME to {host}, but its name server also says "
            f"{', '.join(sorted(foreign))}, which {host} does not have; need the CNAME alone",
            False,
        )
    return found


def _addresses_of(name: str, resolver: Asks) -> frozenset[str]:
    """Return the addresses of a name, none too where it (or what it is a CNAME to) is not there."""
    try:
        return resolver.addresses(name)
    except NameNotFound:
        return frozenset()


def _served(
    domain: SendingDomain,
    addresses: Callable[[], frozenset[str]],
    around: Surroundings,
    on_step: Callable[[str], None],
) -> bool:
    """Return whether the domain is served over https, over http otherwise.

    Raises CouldNotAsk, _Failed.
    """
    name, wanted = domain.tracking_domain, domain.wanted_scheme(around.scheme)
    found = addresses()
    if not found:
        host = around.public_hostname
        raise _Failed(
            "no_address",
            f"{name} points to {host}, which has no address; need an A or AAAA record of {host}, "
            "or another sidecar.public_hostname",
            True,
        )
    serves_https = around.certificates.serves(name)
    if around.needs_certificate and wanted is not Scheme.HTTP and not serves_https:
        raise _Failed(
            "certificate_missing",
            f"{name} points here, but this sidecar has no certificate for it; need one that holds",
            True,
        )
    if domain.verification is VerificationMode.DNS:
        return wanted is Scheme.HTTPS or (wanted is Scheme.AUTO and serves_https)
    return _reached(domain, found, wanted, around, on_step)


def _reached(
    domain: SendingDomain,
    addresses: frozenset[str],
    wanted: Scheme,
    around: Surroundings,
    on_step: Callable[[str], None],
) -> bool:
    # What was reached over https before is not let fall to http by one failure.
    needs_https = wanted is Scheme.HTTPS or around.needs_certificate or domain.https
    schemes = {Scheme.HTTP: ("http",)}.get(wanted, ("https",) if needs_https else ("https", "http"))
    failure: VerificationFailure | None = None
    for scheme in schemes:
        on_step(f"asking {scheme}://{domain.tracking_domain}/ for a challenge")
        failure = around.reach(scheme, domain.tracking_domain, addresses)
        if failure is None:
            return scheme == "https"
    assert failure is not None
    raise _Failed(failure.code, failure.message + _advice(failure.code, domain), True)


def _advice(code: str, domain: SendingDomain) -> str:
    if code != UNREACHABLE:
        return ""
    return (
        "; where this machine cannot reach itself by its public address, run: "
        f"openclick domain update {domain.name} --verification dns"
    )
