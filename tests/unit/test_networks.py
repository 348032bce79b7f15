"""Networks as their owners publish them: what is read, what is refused, what stands in them."""

import ipaddress
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick_sidecar.networks import NetworksError, parse_networks

GOOGLE = {
    "creationTime": "2026-08-21T15:46:05.000000",
    "prefixes": [{"ipv6Prefix": "2001:db8:4860::/64"}, {"ipv4Prefix": "192.0.2.0/27"}],
}
MICROSOFT = [
    {"id": 1, "serviceArea": "Exchange", "urls": ["x"], "ips": ["192.0.2.0/27", "2001:db8::/36"]},
    {"id": 2, "serviceArea": "Common", "urls": ["y"]},
]
AZURE = {"values": [{"properties": {"addressPrefixes": ["192.0.2.0/24"]}}]}
AWS = {
    "prefixes": [{"ip_prefix": "192.0.2.0/24"}],
    "ipv6_prefixes": [{"ipv6_prefix": "2001:db8::/32"}],
}
APPLE = "192.0.2.0/31,GB,GB-EN,London,\n2001:db8:1::/64,DE,DE-BE,Berlin,\n"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (json.dumps(GOOGLE), 2),
        (json.dumps(MICROSOFT), 2),
        (json.dumps(AZURE), 1),
        (json.dumps(AWS), 2),
        (APPLE, 2),
        ("# scanners\n\n192.0.2.0/24   # theirs\r\n\t192.0.2.1\n", 2),
        ("prefix,country\n192.0.2.0/24,DE\n", 1),
        ('\ufeff"192.0.2.0/24","DE"\n', 1),
    ],
    ids=["google", "microsoft", "azure", "aws", "apple", "plain", "csv-with-head", "quoted"],
)
def test_shapes(text: str, count: int) -> None:
    """The content tells the shape."""
    networks = parse_networks(text, "file")

    assert (count, "file") == (networks.count, networks.name)
    assert "192.0.2.1" in networks
    assert "198.51.100.1" not in networks


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("192.0.2.0/24\nnonsense\n", 2, "nonsense: need a network, such as 192.0.2.0/24"),
        ("192.0.2.0/33\n", 1, "192.0.2.0/33: need a network"),
        ("192.0.2.0/-1\n", 1, "192.0.2.0/-1: need a network"),
        ("192.0.2.0/²\n", 1, "192.0.2.0/²: need a network"),
        ("192.0.2\n", 1, "192.0.2: need a network"),
        ("a\x1b[31m\n", 1, "'a\\x1b[31m': need a network"),
        ("x" * 100 + "/\n", 1, "x" * 60 + "…: need a network"),
        ("", 0, "holds no network: need JSON"),
        ("# nothing\n", 0, "holds no network: need JSON"),
        ("{}", 0, "holds no network: need JSON"),
        ('{"prefixes": [\n', 2, "not JSON: "),
        (
            '{"prefixes": [{}, {"ipv4Prefix": "192.0.2.0/99"}]}',
            0,
            'prefixes[1].ipv4Prefix: found "192.0.2.0/99": need a network',
        ),
        ('[{"ips": ["192.0.2.1", 7]}]', 0, "[0].ips[1]: found 7: need a network"),
        ("[" * 100_000, 0, "not JSON: "),
    ],
)
def test_a_file_at_fault(text: str, line: int, message: str) -> None:
    """One line: where, what was found, what is needed."""
    with pytest.raises(NetworksError) as caught:
        parse_networks(text, "file")

    assert line == caught.value.line
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ip", ["", "unix", "192.0.2", "\x00", "192.0.2.1%eth0", "::1::"])
def test_what_is_no_address(ip: str) -> None:
    """It stands in no network, and is no error."""
    assert ip not in parse_networks("0.0.0.0/0\n::/0\n", "file")


def test_ipv4_over_ipv6() -> None:
    """A socket for both families shows it so."""
    assert "::ffff:192.0.2.1" in parse_networks("192.0.2.0/24\n", "file")


IPS = st.ip_addresses(network="192.0.2.0/24") | st.ip_addresses(network="2001:db8::/120")


@given(st.lists(st.tuples(IPS, st.integers(0, 8)), min_size=1, max_size=20), IPS)
def test_as_the_standard_library_says(
    made: list[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]],
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Overlapping, nested, touching networks of both families: an address stands in or it does not.

    Bits behind the prefix are ignored, as owners do not always clear them.
    """
    written = [f"{address}/{address.max_prefixlen - bits}" for address, bits in made]
    expected = any(
        ip in network
        for network in (ipaddress.ip_network(text, strict=False) for text in written)
        if network.version == ip.version
    )

    assert expected == (str(ip) in parse_networks("\n".join(written), "file"))


class Counted(bytes):
    """An address that counts how often it is compared."""

    compared = 0

    def __lt__(self, other: bytes) -> bool:
        Counted.compared += 1
        return bytes.__lt__(self, other)


def test_a_lookup_halves_its_way() -> None:
    """Hundreds of thousands of networks cost a score of comparisons."""
    lines = [f"10.{n >> 8}.{n & 255}.0/25" for n in range(65_536)]
    networks = parse_networks("\n".join(lines), "file")

    assert Counted(ipaddress.ip_address("10.77.7.5").packed) in networks.v4
    assert "10.77.7.200" not in networks
    assert 0 < Counted.compared <= 18
