"""The name server of the tests answers as a real one does, asked by dnspython's resolver."""

import socket
import time
from collections.abc import Iterator

import dns.message
import dns.query
import dns.rcode
import dns.resolver
import pytest

from support.dns_server import DnsServer, Query


@pytest.fixture
def dns_server() -> Iterator[DnsServer]:
    """Give a name server that nobody else asks, such as a sidecar on its schedule."""
    with DnsServer() as server:
        yield server


def _resolver(server: DnsServer) -> dns.resolver.Resolver:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [server.host]
    resolver.port = server.port
    resolver.timeout = resolver.lifetime = 1.0
    return resolver


def _ask(server: DnsServer, name: str, rtype: str) -> list[str]:
    answer = _resolver(server).resolve(name, rtype, search=False)
    return sorted(rdata.to_text() for rdata in answer)


def test_answers_what_the_zone_says_in_any_case(dns_server: DnsServer) -> None:
    """Several addresses of one name; names are compared without regard to case."""
    dns_server.set("Track.Kontor.example", "A", "127.0.0.1", "127.0.0.2")

    found = _ask(dns_server, "track.kontor.EXAMPLE.", "A")

    assert found == ["127.0.0.1", "127.0.0.2"]
    assert dns_server.queries == [Query("track.kontor.example", "A", "udp")]


def test_follows_a_chain_of_aliases(dns_server: DnsServer) -> None:
    """The answer carries each CNAME and the address, for one question."""
    dns_server.set("a.example", "CNAME", "b.example")
    dns_server.set("b.example", "CNAME", "c.example.")
    dns_server.set("c.example", "AAAA", "::1")

    answer = _resolver(dns_server).resolve("a.example", "AAAA", search=False)

    assert answer.canonical_name.to_text() == "c.example."
    assert len(answer.chaining_result.cnames) == 2
    assert dns_server.count() == 1


def test_alias_itself_can_be_asked_for(dns_server: DnsServer) -> None:
    """A question for the CNAME is not answered with its target."""
    dns_server.set("a.example", "CNAME", "b.example")

    assert _ask(dns_server, "a.example", "CNAME") == ["b.example."]


def test_addresses_beside_an_alias(dns_server: DnsServer) -> None:
    """A server that lies: each type with what was set for it."""
    dns_server.set("a.example", "CNAME", "b.example")
    dns_server.set("b.example", "A", "127.0.0.1")
    dns_server.set("a.example", "A", "127.0.0.9")

    assert _ask(dns_server, "a.example", "CNAME") == ["b.example."]
    assert _ask(dns_server, "a.example", "A") == ["127.0.0.9"]


@pytest.mark.parametrize("name", ["missing.example", "alias.example"])
def test_missing_name_and_alias_to_one_are_nxdomain(dns_server: DnsServer, name: str) -> None:
    """Also at the end of a chain."""
    dns_server.set("alias.example", "CNAME", "nowhere.example")

    with pytest.raises(dns.resolver.NXDOMAIN):
        _ask(dns_server, name, "A")


@pytest.mark.parametrize("name", ["there.example", "alias.example", "example"])
def test_name_without_that_type_is_an_empty_answer(dns_server: DnsServer, name: str) -> None:
    """So is a name that exists only because something is below it."""
    dns_server.set("there.example", "TXT", '"v=1"')
    dns_server.set("alias.example", "CNAME", "there.example")

    with pytest.raises(dns.resolver.NoAnswer):
        _ask(dns_server, name, "A")


def test_loop_of_aliases_ends(dns_server: DnsServer) -> None:
    """After eight steps the server gives what it has."""
    dns_server.set("a.example", "CNAME", "b.example")
    dns_server.set("b.example", "CNAME", "a.example")

    with pytest.raises((dns.resolver.NoNameservers, dns.resolver.NoAnswer)):
        _ask(dns_server, "a.example", "A")


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED"])
def test_a_name_can_be_told_to_fail_and_to_recover(dns_server: DnsServer, rcode: str) -> None:
    """The rcode is sent until it is taken back."""
    dns_server.set("sick.example", "A", "127.0.0.1")
    dns_server.set_rcode("sick.example", rcode)
    query = dns.message.make_query("sick.example", "A")

    sick = dns.query.udp(query, dns_server.host, timeout=2, port=dns_server.port)
    dns_server.set_rcode("sick.example", None)

    assert dns.rcode.to_text(sick.rcode()) == rcode
    assert _ask(dns_server, "sick.example", "A") == ["127.0.0.1"]


def test_silent_name_gets_no_answer(dns_server: DnsServer) -> None:
    """The asker runs into its time limit; other names are served."""
    dns_server.set("loud.example", "A", "127.0.0.1")
    dns_server.set_silent("silent.example")

    with pytest.raises(dns.resolver.LifetimeTimeout):
        _ask(dns_server, "silent.example", "A")

    assert _ask(dns_server, "loud.example", "A") == ["127.0.0.1"]
    assert dns_server.count("silent.example", "A") >= 1


def test_oversize_answer_is_truncated_and_asked_again_by_tcp(dns_server: DnsServer) -> None:
    """TC over UDP, the whole answer over TCP."""
    addresses = [f"10.0.{i // 200}.{i % 200}" for i in range(200)]
    dns_server.set("wide.example", "A", *addresses)

    found = _ask(dns_server, "wide.example", "A")

    assert found == sorted(addresses)
    assert [query.transport for query in dns_server.queries] == ["udp", "tcp"]


def test_removed_records_are_gone(dns_server: DnsServer) -> None:
    """One type of a name, then the name."""
    dns_server.set("name.example", "A", "127.0.0.1")
    dns_server.set("name.example", "TXT", '"x"')

    dns_server.remove("name.example", "A")
    with pytest.raises(dns.resolver.NoAnswer):
        _ask(dns_server, "name.example", "A")
    dns_server.remove("name.example")
    with pytest.raises(dns.resolver.NXDOMAIN):
        _ask(dns_server, "name.example", "TXT")


def test_junk_is_ignored(dns_server: DnsServer) -> None:
    """What is no DNS message gets no answer and does no harm."""
    dns_server.set("name.example", "A", "127.0.0.1")

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as junk:
        junk.sendto(b"junk", (dns_server.host, dns_server.port))

    assert _ask(dns_server, "name.example", "A") == ["127.0.0.1"]


def test_close_frees_the_port_at_once() -> None:
    """Closing twice is fine, and does not wait for a TCP client that keeps its connection."""
    server = DnsServer()
    started = time.monotonic()

    with socket.create_connection((server.host, server.port)):
        server.close()
        server.close()

    assert time.monotonic() - started < 5
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind((server.host, server.port))
