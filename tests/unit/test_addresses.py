"""Which addresses may be dialled: special ranges, and every way to spell them."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick.addresses import forbidden_range, maybe_literal
from unit.spellings import FORBIDDEN_HOSTS

FREE = [
    *("8.8.8.8", "1.1.1.1", "93.184.215.14", "100.63.255.255", "100.128.0.1", "172.15.255.255"),
    *("172.32.0.1", "192.0.1.1", "198.17.255.255", "223.255.255.255", "9.255.255.255"),
    *("2001:4860:4860::8888", "2600::1", "2a00:1450::1", "2003::1", "2001:200::1"),
    *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
]
SPECIAL = {
    "0.0.0.0": "this network",
    "10.255.255.255": "private",
    "100.64.0.1": "carrier-grade NAT",
    "127.0.0.1": "loopback",
    "169.254.169.254": "link-local",
    "172.31.255.255": "private",
    "192.0.0.170": "IETF protocols",
    "192.88.99.1": "6to4 relays",
    "192.168.0.1": "private",
    "198.19.255.255": "benchmarks",
    "224.0.0.1": "multicast",
    "255.255.255.255": "reserved",
    "::": "unspecified",
    "::1": "loopback",
    "::127.0.0.1": "IPv4-compatible",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:0:127.0.0.1": "IPv4-translated",
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b::10.0.0.1": "private",
    "64:ff9b:1::1": "local NAT64",
    "100::1": "discard",
    "2001::1": "Teredo",
    "2001:2::1": "IETF protocols",
    "2001:db8::1": "documentation",
    "2002:7f00:1::": "6to4",
    "3fff::1": "documentation",
    "5f00::1": "segment routing",
    "fd00::1": "unique local",
    "fe80::1": "link-local",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
    "4000::1": "not global unicast",
    "1::1": "not global unicast",
}


@pytest.mark.parametrize("text", FREE)
def test_the_internet(text: str) -> None:
    """May be dialled, at the edges of special ranges too."""
    assert forbidden_range(ipaddress.ip_address(text)) is None


@pytest.mark.parametrize(("text", "word"), SPECIAL.items())
def test_special_ranges(text: str, word: str) -> None:
    """May not, and the reason says why."""
    assert word == forbidden_range(ipaddress.ip_address(text))


def test_an_allowed_network_opens_itself_alone() -> None:
    """The rest of the table stays."""
    allowed = (ipaddress.ip_network("10.1.2.0/24"), ipaddress.ip_network("fd00:1::/32"))

    verdicts = [
        forbidden_range(ipaddress.ip_address(text), allowed)
        for text in ("10.1.2.3", "::ffff:10.1.2.3", "fd00:1::1", "10.1.3.1", "127.0.0.1", "fd00::1")
    ]

    assert [None, None, None, "private", "loopback", "unique local"] == verdicts


@given(st.integers(0, 2**32 - 1))
def test_an_inner_address_is_judged_like_the_outer_one(number: int) -> None:
    """Whoever dials a mapped or NAT64 address dials the one inside."""
    plain = forbidden_range(ipaddress.IPv4Address(number))

    mapped = forbidden_range(ipaddress.IPv6Address((0xFFFF << 32) + number))
    nat64 = forbidden_range(ipaddress.IPv6Address((0x64FF9B << 96) + number))

    assert plain == mapped == nat64


@given(st.integers(0, 2**128 - 1))
def test_nothing_that_python_calls_private_is_free(number: int) -> None:
    """Our table is the stricter one, for IPv6 at large."""
    address = ipaddress.IPv6Address(number)

    assert forbidden_range(address) is not None or address.is_global


@pytest.mark.parametrize("host", ["hooks.kontor.example", "a.b", "x1.2y", "0x.example"])
def test_names_are_no_addresses(host: str) -> None:
    """They are looked up, and what they lead to is checked."""
    assert maybe_literal(host) is None


def test_sixty_spellings() -> None:
    """There are at least sixty in the list that dialling and adding are tried with."""
    assert len(set(FORBIDDEN_HOSTS)) >= 60
