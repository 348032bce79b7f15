"""Whose mail is a submission (DESIGN 3.1), by the client's address alone."""

import ipaddress

import pytest

from openclick.settings import MilterSettings
from openclick_milter.trust import Client, Trust, trust

SETTINGS = MilterSettings(trusted_networks=(ipaddress.ip_network("192.0.2.0/24"),))


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("192.0.2.7", Trust.YES),
        ("::ffff:192.0.2.7", Trust.YES),
        ("127.0.0.1", Trust.IF_NOT_RECEIVED),
        ("127.8.8.8", Trust.IF_NOT_RECEIVED),
        ("::1", Trust.IF_NOT_RECEIVED),
        ("::ffff:127.0.0.1", Trust.IF_NOT_RECEIVED),
        ("198.51.100.7", Trust.NO),
        ("::ffff:198.51.100.7", Trust.NO),
        ("2001:db8::1", Trust.NO),
        ("fe80::1%eth0", Trust.NO),
        ("", Trust.NO),
        ("unknown", Trust.NO),
    ],
)
def test_address(ip: str, expected: Trust) -> None:
    """An IPv4 address counts the same where a socket for IPv6 has taken the connection."""
    assert expected is trust(Client(ip), SETTINGS)
