"""The DNS record of a tracking domain, in the forms in which people publish it.

Called by the command and the API.  Pure.  Limits: which zone a name lies in is not known here, so
the relative name is given for every zone that it may be.
"""

from __future__ import annotations

from dataclasses import dataclass

from openclick.domains import SendingDomain

_TTL_SECONDS = 3600
_FEWEST_ZONE_LABELS = 2


@dataclass(frozen=True)
class DnsRecord:
    """One record to publish; names are A-labels without the final dot."""

    record_type: str
    name: str
    value: str

    @property
    def zone_line(self) -> str:
        """The line of a zone file (RFC 1035, 5)."""
        return f"{self.name}. {_TTL_SECONDS} IN {self.record_type} {self.value}."

    def relative_names(self, sending_domain: str) -> list[tuple[str, str]]:
        """Return (zone, name in that zone) for the sending domain and each zone above it.

        That is what a provider's form asks for: it adds the zone by itself.
        """
        labels = sending_domain.split(".")
        last = max(len(labels) - _FEWEST_ZONE_LABELS, 0)
        zones = [".".join(labels[first:]) for first in range(last + 1)]
        return [(zone, self.name.removesuffix(f".{zone}")) for zone in zones]


def tracking_records(domain: SendingDomain, public_hostname: str) -> list[DnsRecord]:
    """Return what is to be published for a domain; nothing where it has no tracking domain.

    Nor where its tracking domain is this host's own name.
    """
    name = domain.tracking_domain
    if not name or not public_hostname or name == public_hostname:
        return []
    return [DnsRecord("CNAME", name, public_hostname)]
