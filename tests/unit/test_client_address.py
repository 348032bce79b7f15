"""Who the client is: the peer, unless a trusted proxy says otherwise."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick_sidecar.client_address import ClientAddresses, normal_address, normal_peer

PROXY = "10.0.0.1"
SECOND = "10.0.0.2"
SIX = "2001:db8:1::1"
STRANGER = "203.0.113.9"
TRUSTED = [ipaddress.ip_network(text) for text in ("10.0.0.0/24", "2001:db8:1::/48")]

CASES = {
    # peer, values of X-Forwarded-For, client
    "no field": (PROXY, [], PROXY),
    "one hop": (PROXY, ["192.0.2.1"], "192.0.2.1"),
    "a stranger's word": (STRANGER, ["192.0.2.1"], STRANGER),
    "a stranger's word for a proxy": (STRANGER, [PROXY], STRANGER),
    "a forged hop on the left": (PROXY, ["198.51.100.1, 192.0.2.1"], "192.0.2.1"),
    "many forged hops": (PROXY, ["1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.1"], "192.0.2.1"),
    "two proxies": (PROXY, [f"192.0.2.1, {SECOND}"], "192.0.2.1"),
    "two proxies and a forged hop": (PROXY, [f"9.9.9.9, 192.0.2.1, {SECOND}"], "192.0.2.1"),
    "a forged proxy on the left": (PROXY, [f"{SECOND}, 192.0.2.1"], "192.0.2.1"),
    "proxies alone": (PROXY, [f"10.0.0.9, {SECOND}"], "10.0.0.9"),
    "several fields": (PROXY, ["9.9.9.9", f"192.0.2.1, {SECOND}"], "192.0.2.1"),
    "a field a hop": (PROXY, ["9.9.9.9", "192.0.2.1", SECOND], "192.0.2.1"),
    "no blanks": (PROXY, [f"9.9.9.9,192.0.2.1,{SECOND}"], "192.0.2.1"),
    "tabs and blanks": (PROXY, [f"\t192.0.2.1 ,\t {SECOND} "], "192.0.2.1"),
    "empty elements": (PROXY, ["192.0.2.1,, ,"], "192.0.2.1"),
    "an empty field": (PROXY, [""], PROXY),
    "nonsense": (PROXY, ["unknown"], PROXY),
    "nonsense behind the client": (PROXY, ["192.0.2.1, unknown"], PROXY),
    "nonsense before the client": (PROXY, ["unknown, 192.0.2.1"], "192.0.2.1"),
    "nonsense between proxies": (PROXY, [f"192.0.2.1, _hidden, {SECOND}"], SECOND),
    "a host name": (PROXY, ["reader.example"], PROXY),
    "a number too large": (PROXY, ["192.0.2.256"], PROXY),
    "three numbers": (PROXY, ["192.0.2"], PROXY),
    "a leading zero": (PROXY, ["192.0.02.1"], PROXY),
    "hexadecimal": (PROXY, ["0xc0000201"], PROXY),
    "a network": (PROXY, ["192.0.2.0/24"], PROXY),
    "quoted, as in Forwarded": (PROXY, ['"192.0.2.1"'], PROXY),
    "raw bytes": (PROXY, ["\xff\xfe"], PROXY),
    "a line end": (PROXY, ["192.0.2.1\r\nX: y"], PROXY),
    "a port": (PROXY, ["192.0.2.1:50000"], "192.0.2.1"),
    "a port that is none": (PROXY, ["192.0.2.1:x"], PROXY),
    "IPv6": (PROXY, ["2001:db8:2::5"], "2001:db8:2::5"),
    "IPv6, long and in capitals": (PROXY, ["2001:0DB8:0002:0:0:0:0:0005"], "2001:db8:2::5"),
    "IPv6 in brackets": (PROXY, ["[2001:db8:2::5]"], "2001:db8:2::5"),
    "IPv6 in brackets with a port": (PROXY, ["[2001:db8:2::5]:443"], "2001:db8:2::5"),
    "IPv6 without the end bracket": (PROXY, ["[2001:db8:2::5"], PROXY),
    "IPv4 in brackets": (PROXY, ["[192.0.2.1]"], PROXY),
    "IPv6 with an interface": (PROXY, ["fe80::1%eth0"], PROXY),
    "IPv4-mapped IPv6": (PROXY, ["::ffff:192.0.2.1"], "192.0.2.1"),
    "IPv4-mapped in brackets": (PROXY, ["[::ffff:192.0.2.1]:80"], "192.0.2.1"),
    "a proxy, IPv4-mapped": (PROXY, ["192.0.2.1, ::ffff:10.0.0.2"], "192.0.2.1"),
    "a proxy over IPv6": (SIX, ["192.0.2.1"], "192.0.2.1"),
    "a proxy over IPv6, in capitals": (PROXY, ["192.0.2.1, 2001:DB8:1::9"], "192.0.2.1"),
    "a neighbour of the proxies": ("10.0.1.1", ["192.0.2.1"], "10.0.1.1"),
    "no peer address": ("", ["192.0.2.1"], ""),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_client(case: tuple[str, list[str], str]) -> None:
    """The right-most hop that is no trusted proxy; what is no address ends the walk."""
    peer, values, client = case

    found = ClientAddresses(TRUSTED).client(peer, [value.encode("latin-1") for value in values])

    assert client == found


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_by_default_nobody_is_believed(case: tuple[str, list[str], str]) -> None:
    """Without trusted proxies the field is nothing but a stranger's text."""
    peer, values, _ = case

    found = ClientAddresses(()).client(peer, [value.encode("latin-1") for value in values])

    assert peer == found


@given(st.lists(st.text(st.characters(max_codepoint=255)), max_size=4))
def test_a_client_is_always_an_address(values: list[str]) -> None:
    """Whatever a proxy hands on, what is recorded is an address in its one spelling."""
    found = ClientAddresses(TRUSTED).client(PROXY, [value.encode("latin-1") for value in values])

    assert str(ipaddress.ip_address(found)) == found


@given(st.ip_addresses(), st.integers(0, 65_535))
def test_every_address_is_understood(address: ipaddress.IPv4Address, port: int) -> None:
    """Bare, and with a port."""
    mapped = getattr(address, "ipv4_mapped", None)
    with_port = f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"

    assert str(mapped or address) == normal_address(str(address)) == normal_address(with_port)


@pytest.mark.parametrize(
    ("host", "peer"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", ""),
    ],
)
def test_peer(host: str, peer: str) -> None:
    """A socket for both families tells IPv4 peers as mapped, and link-local ones by interface."""
    assert peer == normal_peer(host)
