"""Looks at domains: what the store, DNS, and a fetch through each tracking domain say.

Promise: nothing is fetched from an address that is not one of `sidecar.public_hostname`.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice

from openclick.domains import SendingDomain, TrackingStatus
from openclick.option_kinds import HostPort
from openclick.settings import Config
from openclick.store import Store, StoreFault
from openclick_admin.doctor.facts import Answer, DomainFacts, Fetch, NameFacts
from openclick_admin.doctor.http_look import (
    NoAnswer,
    Shown,
    get,
    look_at_certificate,
    unverified,
)
from openclick_sidecar.answers import ROOT
from openclick_sidecar.resolver import CouldNotAsk, NameNotFound, Resolver

_THREADS = 16
_MOST_ADDRESSES = 4
_PORTS = {"http": 80, "https": 443}


def look_at_names(config: Config, store: Store) -> NameFacts:
    """Return what is known of every domain; name servers and hosts are asked side by side."""
    try:
        with closing(store.registry_reader()) as reader:
            domains = reader.domains.many_domains()
            certificates = tuple(reader.certificates.many_certificates())
    except StoreFault as error:
        return NameFacts(fault=str(error))
    try:
        resolver = Resolver(config.dns)
    except CouldNotAsk as error:
        unasked = tuple(DomainFacts(domain, dns_fault=str(error)) for domain in domains)
        return NameFacts(unasked, host_fault=str(error), certificates=certificates)
    host = config.sidecar.public_hostname
    with ThreadPoolExecutor(_THREADS) as threads:
        addresses, fault = _addresses(resolver, host)
        asked = threads.map(lambda domain: _look(domain, config, resolver, addresses), domains)
        return NameFacts(tuple(asked), addresses, fault, certificates)


def _addresses(resolver: Resolver, name: str) -> tuple[frozenset[str], str]:
    """Return the addresses of a name, none where there is no such name, and why not asked."""
    try:
        return (resolver.addresses(name) if name else frozenset()), ""
    except NameNotFound:
        return frozenset(), ""
    except CouldNotAsk as error:
        return frozenset(), str(error)


def _look(
    domain: SendingDomain, config: Config, resolver: Resolver, ours: frozenset[str]
) -> DomainFacts:
    name = domain.tracking_domain
    if not name:
        return DomainFacts(domain)
    try:
        cname = resolver.cname(name)
    except NameNotFound:
        return DomainFacts(domain, exists=False)
    except CouldNotAsk as error:
        return DomainFacts(domain, dns_fault=str(error))
    addresses, fault = _addresses(resolver, name)
    fetches: tuple[Fetch, ...] = ()
    if domain.tracking_status is not TrackingStatus.DISABLED:
        fetches = tuple(_fetches(domain, config, addresses & ours))
    return DomainFacts(domain, True, cname, addresses, fault, fetches)


def _fetches(domain: SendingDomain, config: Config, addresses: frozenset[str]) -> Iterator[Fetch]:
    """Follow the links of new mail of this domain, at addresses of its name that are ours."""
    scheme = domain.link_scheme(config.links.scheme)
    port = config.links.port_of(scheme) or _PORTS[scheme]
    for address in islice(sorted(addresses), _MOST_ADDRESSES):
        yield _fetch(scheme, HostPort(address, port), domain.tracking_domain)


def _fetch(scheme: str, address: HostPort, name: str) -> Fetch:
    context: ssl.SSLContext | None = None
    shown = Shown()
    try:
        if scheme == "https":
            context = unverified()
            shown = look_at_certificate(address, name)
        page = get(address, name, "/", context)
    except NoAnswer as error:
        return _told(scheme, address, shown, Answer.NOTHING, str(error))
    if page.body == ROOT.body:
        return _told(scheme, address, shown, Answer.OURS)
    said = f"status {page.status}" + (f" from {page.server}" if page.server else "")
    return _told(scheme, address, shown, Answer.OTHER, said)


def _told(scheme: str, address: HostPort, shown: Shown, answer: Answer, detail: str = "") -> Fetch:
    return Fetch(
        *(scheme, str(address), answer, detail),
        not_after_at=shown.not_after_at,
        mistrust=shown.mistrust,
        not_before_at=shown.not_before_at,
    )
