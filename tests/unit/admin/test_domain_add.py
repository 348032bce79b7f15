"""`openclick domain add`, `show` and `list`: what to publish, and what is refused."""

import json

import pytest

from openclick.store import Registry
from unit.admin.fresh_installation import Run
from unit.samples import NOW, a_domain


def test_domain_add_says_what_to_publish(ready: Run) -> None:
    """The tracking domain's DNS record, and what comes next."""
    result = ready("domain", "add", "Kontor.Example.", "--opens")

    assert result.exit_code == 0
    assert result.output == (
        "domain             kontor.example\n"
        "opens by default   on\n"
        "clicks by default  off\n"
        "tracking domain    track.kontor.example\n"
        "links of new mail  http\n"
        "verification       full\n"
        "status             pending: publish the record below, and the sidecar will find it\n"
        "last checked       never\n"
        "certificate        none\n"
        "\n"
        "The DNS record to publish, as a line of a zone file:\n"
        "\n"
        "  track.kontor.example. 3600 IN CNAME mail.openclick.example.\n"
        "\n"
        "or in a provider's form:\n"
        "\n"
        "  Type    CNAME\n"
        "  Name    track\n"
        "  Target  mail.openclick.example\n"
    )


def test_domain_as_json(ready: Run) -> None:
    """Anypost's shape, with the record in dns_records."""
    added = json.loads(
        ready("domain", "add", "bücher.example", "--tracking-subdomain", "go", "--json").output
    )

    shown = json.loads(ready("domain", "show", "bücher.example", "--json").output)
    listed = json.loads(ready("domain", "list", "--json").output)

    assert [added] == listed == [shown]
    assert added["id"].startswith("domain_")
    assert added["name"] == "xn--bcher-kva.example"
    assert {
        "opens_enabled": False,
        "clicks_enabled": False,
        "subdomain": "go",
        "domain": "go.xn--bcher-kva.example",
        "scheme": "auto",
        "link_scheme": "http",
        "verification": "full",
        "dns_records": [
            {
                "type": "CNAME",
                "name": "go.xn--bcher-kva.example",
                "value": "mail.openclick.example",
                "purpose": "tracking",
            }
        ],
        "status": "disabled",
        "verified_at": None,
        "checked_at": None,
        "verification_failure": None,
        "certificate": None,
    } == added["tracking"]


def test_domain_is_there_already(ready: Run) -> None:
    """Status 1, and the way to look at it."""
    ready("domain", "add", "kontor.example")

    result = ready("domain", "add", "KONTOR.example", "--opens")

    assert result.exit_code == 1
    assert result.output == (
        "Error: kontor.example is there already; see: openclick domain show kontor.example, or: "
        "openclick domain verify --wait kontor.example\n"
    )


@pytest.mark.parametrize("name", ["", "a b", "kontor.example/", "-a.example", "a\nb"])
def test_domain_that_is_none(ready: Run, name: str) -> None:
    """Status 2; nothing is added."""
    assert ready("domain", "add", "--", name).exit_code == 2
    assert json.loads(ready("domain", "list", "--json").output) == []


def test_domain_that_is_not_added(ready: Run) -> None:
    """Status 1, and the way to look for it."""
    result = ready("domain", "show", "other.example")

    assert (1, "Error: other.example is not added; see: openclick domain list\n") == (
        result.exit_code,
        result.output,
    )


def test_no_domains(ready: Run) -> None:
    """The empty list says how to begin."""
    assert ready("domain", "list").output.startswith("No domain is added yet; add one with: ")


def test_domain_list(ready: Run, registry: Registry) -> None:
    """One line a domain, by name, with where it stands."""
    for number, name in enumerate(("b.example", "a.example")):
        registry.domains.add(a_domain(domain_id=str(number), name=name))
    registry.domains.record_verified("b.example", NOW, https=True)

    lines = ready("domain", "list").output.splitlines()

    assert ["DOMAIN", "TRACKING", "DOMAIN", "LINKS", "OPENS", "CLICKS", "STATUS"] == lines[
        0
    ].split()
    assert ["a.example", "track.a.example", "http", "on", "on", "pending"] == lines[1].split()
    assert ["b.example", "track.b.example", "https", "on", "on", "verified"] == lines[2].split()
