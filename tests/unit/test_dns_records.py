"""The record of a tracking domain, as people publish it."""

import pytest

from openclick.dns_records import DnsRecord, tracking_records
from unit.samples import a_domain

HOST = "mail.openclick.example"
RECORD = DnsRecord("CNAME", "track.news.kontor.example", HOST)


def test_record() -> None:
    """A CNAME of the tracking domain to this host."""
    domain = a_domain(name="news.kontor.example")

    assert [RECORD] == tracking_records(domain, HOST)


def test_zone_line() -> None:
    """Absolute names, so that it holds in any zone file."""
    assert RECORD.zone_line == f"track.news.kontor.example. 3600 IN CNAME {HOST}."


def test_relative_names() -> None:
    """For each zone that the name may lie in; a provider's form adds the zone by itself."""
    assert [
        ("news.kontor.example", "track"),
        ("kontor.example", "track.news"),
    ] == RECORD.relative_names("news.kontor.example")


@pytest.mark.parametrize(
    ("subdomain", "host"), [("", HOST), ("track", ""), ("mail", "mail.kontor.example")]
)
def test_nothing_to_publish(subdomain: str, host: str) -> None:
    """No tracking domain, no host to point to, or this host's own name."""
    assert tracking_records(a_domain(subdomain=subdomain), host) == []
