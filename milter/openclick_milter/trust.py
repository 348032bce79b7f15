"""Whom to obey: whether a transaction is a submission of ours, or somebody else's mail.

Called by `submission` at MAIL, when the client is known, and again at the end of the headers.
Pure.  The rule is DESIGN 3.1: authenticated, or from a trusted network, or through a trusted
listener, or local and without a Received field.  The last condition is there because a content
filter hands a stranger's mail back over loopback: obeying that would seal his link with our key.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import Enum

from openclick.settings import MilterSettings


@dataclass(frozen=True)
class Client:
    """What Postfix says of the client.

    `ip` is empty where the address is neither IPv4 nor IPv6; `login` is {auth_authen};
    `daemon_name` is the listener's milter_macro_daemon_name.
    """

    ip: str = ""
    login: str = ""
    daemon_name: str = ""


class Trust(Enum):
    """Whether a client's mail is a submission."""

    YES = "yes"
    IF_NOT_RECEIVED = "only without a Received field"
    NO = "no"


def trust(client: Client, settings: MilterSettings) -> Trust:
    """Tell whether mail of `client` is to be obeyed and instrumented."""
    if client.login or client.daemon_name in settings.trusted_daemons:
        return Trust.YES
    try:
        address = ipaddress.ip_address(client.ip)
    except ValueError:
        return Trust.NO
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if any(address in network for network in settings.trusted_networks):
        return Trust.YES
    return Trust.IF_NOT_RECEIVED if address.is_loopback else Trust.NO
