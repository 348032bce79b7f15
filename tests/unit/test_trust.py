"""Whom to obey: submissions, and nobody else's mail (DESIGN 3.1)."""

from ipaddress import ip_network

import pytest

from openclick.settings import MilterSettings
from openclick_milter.trust import Client, Trust, trust

DEFAULTS = MilterSettings()
NETWORKS = MilterSettings(trusted_networks=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")))


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (Client("203.0.113.9", login="anna"), Trust.YES),
        (Client("203.0.113.9", daemon_name="openclick-inject"), Trust.YES),
        (Client("", login="anna"), Trust.YES),
        (Client("203.0.113.9"), Trust.NO),
        (Client("203.0.113.9", daemon_name="smtpd"), Trust.NO),
        (Client("10.1.2.3"), Trust.NO),
        (Client("127.0.0.1"), Trust.IF_NOT_RECEIVED),
        (Client("127.8.9.10"), Trust.IF_NOT_RECEIVED),
        (Client("::1"), Trust.IF_NOT_RECEIVED),
        (Client("::ffff:127.0.0.1"), Trust.IF_NOT_RECEIVED),
        (Client("127.0.0.1", login="anna"), Trust.YES),
        (Client(""), Trust.NO),
        (Client("unknown"), Trust.NO),
        (Client("fe80::1%eth0"), Trust.NO),
        (Client("::ffff:203.0.113.9"), Trust.NO),
    ],
)
def test_by_default(client: Client, expected: Trust) -> None:
    """Authenticated, or through the listener for injecting, or local and never received before."""
    assert expected is trust(client, DEFAULTS)


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("10.1.2.3", Trust.YES),
        ("::ffff:10.1.2.3", Trust.YES),
        ("2001:db8::7", Trust.YES),
        ("11.0.0.1", Trust.NO),
        ("2001:db9::7", Trust.NO),
        ("127.0.0.1", Trust.IF_NOT_RECEIVED),
    ],
)
def test_trusted_networks(ip: str, expected: Trust) -> None:
    """What the admin names is believed, in both families."""
    assert expected is trust(Client(ip), NETWORKS)


def test_loopback_as_a_trusted_network() -> None:
    """An admin without a content filter may trust his own machine without condition."""
    settings = MilterSettings(trusted_networks=(ip_network("127.0.0.0/8"),))

    assert Trust.YES is trust(Client("127.0.0.1"), settings)


def test_no_trusted_listener() -> None:
    """An empty list trusts no listener, one without a name least of all."""
    assert Trust.NO is trust(Client("203.0.113.9"), MilterSettings(trusted_daemons=()))
