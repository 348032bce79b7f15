"""What name servers are believed, and what not."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from openclick.option_kinds import HostPort
from openclick.settings import Config
from openclick_sidecar.resolver import NameNotFound, Resolver
from support.dns_server import DnsServer

NAME = "hooks.kontor.example"
Ask = Callable[[Resolver, str], frozenset[str]]


def resolver(server: DnsServer) -> Resolver:
    """Return what asks this name server alone."""
    return Resolver(replace(Config().dns, nameservers=(HostPort(server.host, server.port),)))


@pytest.mark.parametrize("ask", [Resolver.addresses, Resolver.reachable_addresses])
@pytest.mark.parametrize(
    ("known", "denied", "address"), [("A", "AAAA", "192.0.2.7"), ("AAAA", "A", "2001:db8::7")]
)
def test_a_name_that_is_there_is_denied_for_the_other_type(
    dns_server: DnsServer, ask: Ask, known: str, denied: str, address: str
) -> None:
    """Load balancers say so of AAAA (RFC 4074, 4.2); every other program finds the address."""
    dns_server.set(NAME, known, address)
    dns_server.set_rcode(NAME, "NXDOMAIN", denied)

    assert {address} == ask(resolver(dns_server), NAME)


@pytest.mark.parametrize("ask", [Resolver.addresses, Resolver.reachable_addresses])
def test_a_name_that_is_not_there(dns_server: DnsServer, ask: Ask) -> None:
    """No type has an address, and one of them says why."""
    dns_server.set_rcode(NAME, "NXDOMAIN", "AAAA")
    dns_server.set(NAME, "TXT", "text")

    with pytest.raises(NameNotFound):
        ask(resolver(dns_server), NAME)
