"""Judges sending domains, DNS, self-fetches and certificates; pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from openclick.domains import SendingDomain, TrackingStatus, VerificationMode
from openclick.instants import SECOND, Instant, iso
from openclick.tracking_certificates import (
    CertificateStatus,
    TrackingCertificate,
    ends_soon_at,
)
from openclick_admin.doctor.facts import Answer, DomainFacts, Facts, Fetch
from openclick_admin.doctor.findings import Finding, fault, ok, warning

_DAY = 86_400 * SECOND
_OLD_CHECK_DAYS = 7
_LISTENING = "openclick_sidecar_listening{"


def domains(facts: Facts) -> Iterator[Finding]:
    """Whether there is a sending domain, and each may be tracked."""
    names = facts.names
    if names.fault:
        yield fault("domains", f"cannot be read: {names.fault}", "see the store's checks")
        return
    if not names.domains:
        yield warning(
            "domains",
            "none is added, so no mail is tracked",
            "openclick domain add NAME --opens --clicks",
        )
    for each in names.domains:
        yield _domain(each, facts.now)


def _domain(known: DomainFacts, now: Instant) -> Finding:
    domain = known.domain
    name, tracking = domain.name, domain.tracking_domain
    if domain.tracking_status is TrackingStatus.DISABLED:
        return ok(name, "both defaults are off: only mail that asks by header is tracked")
    verify = f"openclick domain verify {name}"
    if not domain.is_verified:
        if domain.failure is None:
            return fault(name, f"{tracking} was not checked yet: its mail is not tracked", verify)
        return fault(
            name,
            f"{tracking} is not verified, so its mail is not tracked: {domain.failure.message} "
            f"[{domain.failure.code}]",
            f"mend that, then: {verify}",
        )
    if domain.failure is not None:
        return warning(
            name,
            f"verified, but the last check failed: {domain.failure.message} "
            f"[{domain.failure.code}]",
            f"mend that, then: {verify}",
        )
    if now - (domain.checked_at or domain.created_at) > _OLD_CHECK_DAYS * _DAY:
        return warning(
            name,
            f"{tracking} was last checked at {iso(domain.checked_at or domain.created_at)}",
            verify,
        )
    return ok(name, f"{tracking} is verified")


def dns(facts: Facts) -> Iterator[Finding]:
    """Whether DNS leads readers here now."""
    host = facts.config.sidecar.public_hostname
    if not host:
        yield fault(
            "sidecar.public_hostname",
            "is not set, and neither Postfix's myhostname nor this machine's name is one that the "
            "internet could know: no tracking domain can be verified",
            "set it to the name of this machine on the internet",
        )
        return
    yield _host(host, facts)
    for each in facts.names.domains:
        if _is_unused(each.domain):
            text = "is not used: both defaults are off, and it is not verified"
            yield ok(each.domain.tracking_domain, text)
        elif each.domain.tracking_domain:
            yield _record(each, host, facts.names.host_addresses)


def _is_unused(domain: SendingDomain) -> bool:
    """Tell whether nothing is tracked with a tracking domain, nor could have been of late."""
    is_disabled = domain.tracking_status is TrackingStatus.DISABLED
    return bool(domain.tracking_domain) and is_disabled and not domain.is_verified


def _host(host: str, facts: Facts) -> Finding:
    names = facts.names
    subject = f"sidecar.public_hostname {host}"
    if names.host_fault:
        return warning(
            subject,
            f"no name server answered: {names.host_fault}",
            "see dns.nameservers, or /etc/resolv.conf",
        )
    if not names.host_addresses:
        return fault(
            subject,
            "has no address: no link of ours can be followed",
            f"publish an A or AAAA record for {host}",
        )
    listed = ", ".join(sorted(names.host_addresses))
    if all(not ip_address(address).is_global for address in names.host_addresses):
        return warning(
            subject,
            f"{listed}: not an address on the internet, so readers outside "
            "your network reach nothing",
            f"publish a public address for {host}",
        )
    return ok(subject, listed)


def _record(known: DomainFacts, host: str, ours: frozenset[str]) -> Finding:
    name = known.domain.tracking_domain
    need = f"publish: {name}. CNAME {host}."
    if known.dns_fault:
        return warning(
            name,
            f"no name server answered: {known.dns_fault}",
            "see dns.nameservers, or /etc/resolv.conf",
        )
    if not known.exists:
        return fault(name, "does not exist: its links lead nowhere", need)
    if known.cname == host:
        return _behind_cname(known, host, ours)
    if known.addresses and known.addresses <= ours:
        return ok(name, f"has addresses of {host}: {', '.join(sorted(known.addresses))}")
    target = known.cname or ", ".join(sorted(known.addresses)) or "nothing"
    return fault(name, f"points to {target}, not here: its links lead elsewhere", need)


def _behind_cname(known: DomainFacts, host: str, ours: frozenset[str]) -> Finding:
    name, foreign = known.domain.tracking_domain, known.addresses - ours
    if not ours or not foreign:
        return ok(name, f"is a CNAME to {host}")
    return fault(
        name,
        f"is a CNAME to {host}, but its name server also says {', '.join(sorted(foreign))}: links "
        "lead there",
        "see to that name server; keep the CNAME alone",
    )


def self_fetch(facts: Facts) -> Iterator[Finding]:
    """Whether a request through the tracking domain reaches the sidecar, and its TLS holds."""
    for each in facts.names.domains:
        for fetch in each.fetches:
            yield from _fetched(each, fetch, facts.now)


def _fetched(known: DomainFacts, fetch: Fetch, now: Instant) -> Iterator[Finding]:
    """Judge one address; like the verifier, hold none against a name that another one answers."""
    subject = f"{fetch.scheme}://{known.domain.tracking_domain} at {fetch.address}"
    listens = (
        "see whether sidecar.listen (or the proxy in front) takes this port and passes Host on"
    )
    if fetch.answer is Answer.OTHER:
        yield fault(subject, f"another server answers: {fetch.detail}", listens)
    elif fetch.answer is Answer.NOTHING:
        text = f"no answer: {fetch.detail}"
        if known.domain.verification is VerificationMode.DNS:
            yield warning(subject, f"{text}; this machine may have no way to itself", listens)
        elif any(other.answer is Answer.OURS for other in known.fetches):
            yield warning(subject, f"{text}; another address of the name answers", listens)
        else:
            yield fault(subject, text, listens)
    else:
        yield ok(subject, "the sidecar answers")
    if fetch.mistrust:
        yield fault(
            subject,
            f"browsers refuse its certificate: {fetch.mistrust}",
            f"openclick certificate show {known.domain.tracking_domain}",
        )
    elif fetch.not_after_at is not None and now >= ends_soon_at(
        fetch.not_before_at, fetch.not_after_at
    ):
        yield warning(
            subject,
            f"its certificate expires at {iso(fetch.not_after_at)}",
            "renew it, and see that the server in front takes the new one",
        )


def certificates(facts: Facts) -> Iterator[Finding]:
    """Whether every tracking domain that needs a certificate has one that holds."""
    speaks_tls = _speaks_tls(facts)
    for found in facts.names.certificates:
        yield from _certificate(found, facts.now, speaks_tls=speaks_tls)
    if facts.config.acme.directory_url and not facts.config.acme.terms_agreed:
        yield fault(
            "acme.terms_agreed",
            "is false: no certificate is obtained",
            "read the CA's terms and set terms_agreed = true",
        )


def _speaks_tls(facts: Facts) -> bool:
    """Tell whether the sidecar has a TLS listener: by its own word, else by the settings."""
    told = [name for name in facts.sidecar.samples if name.startswith(_LISTENING)]
    if told:
        return any('entrance="tls"' in name for name in told)
    return bool(facts.config.sidecar.tls_listen)


def _certificate(
    found: TrackingCertificate, now: Instant, *, speaks_tls: bool
) -> Iterator[Finding]:
    show = f"openclick certificate show {found.name}"
    if found.failure_code:
        level = fault if found.status(now) is not CertificateStatus.SERVED else warning
        yield level(
            found.name,
            f"the last order by ACME failed ({found.failures} in a row): "
            f"{found.failure_message} [{found.failure_code}]",
            f"mend that, then: openclick certificate renew {found.name}",
        )
    if found.file_fault:
        yield fault(found.name, f"its certificate file {found.file_fault}", show)
    if found.not_after_at is None:
        if speaks_tls and not found.file_fault:
            yield warning(found.name, "has no certificate: no https for it", show)
        return
    days = (found.not_after_at - now) // _DAY
    expires = iso(found.not_after_at)
    if now >= found.not_after_at:
        yield fault(found.name, f"its certificate has expired at {expires}", show)
    elif now >= ends_soon_at(found.not_before_at, found.not_after_at):
        yield warning(found.name, f"its certificate expires in {days} days, at {expires}", show)
    else:
        yield ok(found.name, f"its certificate holds until {expires}")
