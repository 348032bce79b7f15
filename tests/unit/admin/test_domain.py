"""`openclick domain`: what is changed, removed and listed, and what is refused."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from openclick.domains import VerificationFailure, VerificationMode
from openclick.store import Registry
from unit.admin.command_line import NOBODY_IS_ASKED, CommandLine, call_this_machine
from unit.samples import DOMAIN, NOW, TRACKING_DOMAIN, a_domain

FAILURE = VerificationFailure("name_not_found", f"{TRACKING_DOMAIN} does not exist")


@pytest.fixture
def openclick(openclick: CommandLine) -> CommandLine:
    """Return the command of an installation with one verified domain, reached over https."""
    openclick.configure('[sidecar]\npublic_hostname = "mail.openclick.example"')
    with closing(openclick.store.registry(owner=True)) as registry:
        registry.domains.add(a_domain())
        registry.domains.record_verified(DOMAIN, NOW, https=True)
    return openclick


@pytest.fixture
def registry(openclick: CommandLine) -> Iterator[Registry]:
    """Return the registry of that installation."""
    with closing(openclick.store.registry()) as opened:
        yield opened


def test_update(openclick: CommandLine, registry: Registry) -> None:
    """What is named is changed, and the domain is shown as it is then."""
    done = openclick("domain", "update", DOMAIN, "--no-opens", "--verification", "dns")

    domain = registry.domains.maybe_domain(DOMAIN)
    assert domain is not None
    assert (0, False, True, VerificationMode.DNS) == (
        done.status,
        domain.opens_enabled,
        domain.is_verified,
        domain.verification,
    )
    assert "opens by default   off\n" in done.text
    assert "verification       dns\n" in done.text


def test_another_subdomain(openclick: CommandLine, registry: Registry) -> None:
    """Pending, with its record; the old name is shown with where it points."""
    registry.domains.record_names([(TRACKING_DOMAIN, True)], NOW)

    done = openclick("domain", "update", DOMAIN, "--tracking-subdomain", "go")

    assert "tracking domain    go.kontor.example\n" in done.text
    assert "status             pending: publish the record" in done.text
    assert f"former name        {TRACKING_DOMAIN}: points here\n" in done.text
    assert "  go.kontor.example. 3600 IN CNAME mail.openclick.example.\n" in done.text


def test_nothing_to_update(openclick: CommandLine) -> None:
    """Status 2, with the way to learn more."""
    done = openclick("domain", "update", DOMAIN)

    assert done.status == 2
    assert "nothing to change; see: openclick domain update --help" in done.err


def test_what_is_refused(openclick: CommandLine) -> None:
    """Status 1, and the rule that is broken."""
    no_name = openclick("domain", "update", DOMAIN, "--tracking-subdomain", "")
    bad = openclick("domain", "update", DOMAIN, "--tracking-subdomain", "a_b")
    gone = openclick("domain", "update", "other.example", "--opens")

    assert [1, 1, 1] == [no_name.status, bad.status, gone.status]
    assert "need one while opens or clicks are on" in no_name.err
    assert "a_b.kontor.example can be no host name" in bad.err
    assert gone.err == "Error: other.example is not added; see: openclick domain list\n"


def test_remove(openclick: CommandLine, registry: Registry) -> None:
    """Told to be kept: the record that links in the world still need."""
    done = openclick("domain", "remove", DOMAIN, "--yes")

    assert done.text == (
        f"{DOMAIN} is removed\n"
        f"Keep the DNS record of {TRACKING_DOMAIN} as long as links that were sent are to work\n"
    )
    assert registry.domains.many_domains() == []


@pytest.mark.parametrize(("typed", "left"), [(b"y\n", 0), (b"n\n", 1), (b"", 1)])
def test_remove_asks(openclick: CommandLine, registry: Registry, typed: bytes, left: int) -> None:
    """And does nothing without a yes."""
    openclick("domain", "remove", DOMAIN, stdin=typed)

    assert left == len(registry.domains.many_domains())


def test_names(openclick: CommandLine, registry: Registry) -> None:
    """Each name that links were sent with, with what it is now."""
    registry.domains.record_names([(TRACKING_DOMAIN, True)], NOW)
    openclick("domain", "update", DOMAIN, "--tracking-subdomain", "go")

    done = openclick("domain", "names", columns=120)
    listed = json.loads(openclick("domain", "names", "--json").text)

    lines = [" ".join(line.split()) for line in done.text.splitlines()[1:]]
    assert lines == [
        "go.kontor.example current kontor.example not looked up yet never",
        "track.kontor.example former kontor.example points here 2025-11-23T22:40:00.123Z",
    ]
    assert [("go.kontor.example", "current", False), (TRACKING_DOMAIN, "former", True)] == [
        (name["name"], name["state"], name["points_here"]) for name in listed
    ]


def test_a_failure_is_shown_with_its_code(openclick: CommandLine, registry: Registry) -> None:
    """In the list the code, in the page the sentence."""
    registry.domains.record_failure(DOMAIN, NOW, FAILURE, keep_state=True)

    listed = openclick("domain", "list", columns=120).text.splitlines()[1].split()
    shown = openclick("domain", "show", DOMAIN).text

    assert ["https", "on", "on", "verified", "[name_not_found]"] == listed[2:]
    assert f"verified: {TRACKING_DOMAIN} does not exist [name_not_found]\n" in shown


def test_a_name_in_a_deeper_zone(openclick: CommandLine) -> None:
    """The form's name depends on the zone, so each is given."""
    done = openclick("domain", "add", "news.kontor.example", "--opens")

    assert done.text.endswith(
        "  Type    CNAME\n"
        "  Name    track  (in the zone news.kontor.example)\n"
        "  Target  mail.openclick.example\n"
        "  In the zone kontor.example the name is track.news\n"
    )


def test_verify_without_waiting(openclick: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status 1 where the check has failed, though the domain stays verified for now."""
    openclick.configure(NOBODY_IS_ASKED)
    call_this_machine(monkeypatch, "mail")

    done = openclick("domain", "verify", DOMAIN, "--json")

    assert done.status == 1
    assert "verified" == json.loads(done.text)["tracking"]["status"]
    assert "public_hostname_missing" in done.text
