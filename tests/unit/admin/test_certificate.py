"""`openclick certificate`: what the sidecar last saw, and where ACME stands."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from openclick.instants import SECOND, now
from openclick.tracking_certificates import TrackingCertificate
from unit.admin.command_line import CommandLine

NAME, OTHER = "track.kontor.example", "links.andere.example"
DAY = 86_400 * SECOND


@pytest.fixture
def openclick(openclick: CommandLine) -> CommandLine:
    """Give the command, with one certificate of ACME's and one order that failed."""
    openclick.configure('[sidecar]\npublic_hostname = "mail.openclick.example"')
    with closing(openclick.store.registry()) as registry:
        book = registry.certificates
        good = TrackingCertificate(
            NAME,
            serves_https=True,
            not_before_at=now() - DAY,
            not_after_at=now() + 89 * DAY,
            by_acme=True,
        )
        book.record_seen([good, TrackingCertificate(OTHER)])
        book.record_attempt(OTHER, 1_795_762_800 * SECOND, 1_795_763_100 * SECOND)
        book.record_failure(OTHER, "acme_validation_failed", "not ours", 1, 1_795_763_100 * SECOND)
    return openclick


def test_the_list(openclick: CommandLine) -> None:
    """One line a name: https, certificate, expiry, origin, last error."""
    done = openclick("certificate", "list", columns=160)

    head, *rows = done.text.splitlines()
    assert head.split()[:2] == ["TRACKING", "DOMAIN"]
    assert [OTHER, "no", "missing", "-", "-", "acme_validation_failed"] == rows[0].split()
    assert [NAME, "yes", "served"] == rows[1].split()[:3]
    assert ["acme", "-"] == rows[1].split()[-2:]


def test_the_list_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Says what to do."""
    (tmp_path / "other").mkdir()
    done = CommandLine(tmp_path / "other", monkeypatch, capfdbinary)("certificate", "list")

    assert "openclick domain list" in done.text


def test_one_of_them(openclick: CommandLine) -> None:
    """Its last order, why it failed, and when the next one may be."""
    done = openclick("certificate", "show", OTHER)

    assert "not ours [acme_validation_failed]" in done.text
    assert "2026-11-27T07:05:00.000Z" in done.text


def test_one_of_them_as_json(openclick: CommandLine) -> None:
    """The same for programs."""
    shown = [openclick("certificate", "show", name, "--json").json for name in (NAME, OTHER)]
    listed = openclick("certificate", "list", "--json").json

    assert shown[::-1] == listed
    assert ("served", True, "acme", None) == (
        shown[0]["status"],
        shown[0]["https"],
        shown[0]["origin"],
        shown[0]["last_error"],
    )
    assert {"code": "acme_validation_failed", "message": "not ours"} == shown[1]["last_error"]
    assert 1 == shown[1]["failures"]


def test_an_expired_one(openclick: CommandLine) -> None:
    """Is told by the clock of this machine."""
    old = TrackingCertificate(NAME, not_before_at=1, not_after_at=now() - DAY)
    with closing(openclick.store.registry()) as registry:
        registry.certificates.record_seen([old])

    assert "expired" == openclick("certificate", "show", NAME, "--json").json["status"]


def test_renew(openclick: CommandLine) -> None:
    """Ends the wait of a name."""
    done = openclick("certificate", "renew", OTHER)

    assert 0 == done.status
    state = openclick("certificate", "show", OTHER, "--json").json
    assert (0, None) == (state["failures"], state["next_attempt_at"])


@pytest.mark.parametrize("command", ["show", "renew"])
def test_an_unknown_name(openclick: CommandLine, command: str) -> None:
    """Exit 1, and where to look."""
    done = openclick("certificate", command, "x.example")

    assert 1 == done.status
    assert "openclick certificate list" in done.err


def with_domains(openclick: CommandLine) -> None:
    """Add the sending domains whose certificates those are, and one that has none."""
    for domain, prefix in (("kontor.example", "track"), ("andere.example", "links")):
        openclick("domain", "add", domain, "--opens", "--tracking-subdomain", prefix)
    openclick("domain", "add", "neu.example")


def test_a_domain_tells_of_its_certificate(openclick: CommandLine) -> None:
    """Its state, and why the last order failed: whoever looks at a domain need not know more."""
    with_domains(openclick)

    good = openclick("domain", "show", "kontor.example").text
    failed = openclick("domain", "show", "andere.example").text
    new = openclick("domain", "show", "neu.example").text

    assert re.search(r"^certificate +served until 20\d\d-\S+Z, from acme$", good, re.MULTILINE)
    assert "last order by ACME" not in good
    assert re.search(r"^certificate +missing$", failed, re.MULTILINE)
    assert "last order by ACME  not ours [acme_validation_failed]\n" in failed
    assert re.search(r"^certificate +none$", new, re.MULTILINE)


def test_a_certificate_that_has_expired(openclick: CommandLine) -> None:
    """Since when, and what is wrong with the file that was to follow it."""
    with_domains(openclick)
    with closing(openclick.store.registry()) as registry:
        expired = TrackingCertificate(
            NAME, not_before_at=0, not_after_at=1_795_762_800 * SECOND, file_fault="holds no key"
        )
        registry.certificates.record_seen([expired, TrackingCertificate(OTHER)])

    shown = openclick("domain", "show", "kontor.example").text

    assert "expired since 2026-11-27T07:00:00.000Z, from file\n" in shown
    assert re.search(r"^fault of its file +holds no key$", shown, re.MULTILINE)


def test_a_domains_certificate_as_json(openclick: CommandLine) -> None:
    """The same object as `certificate show` prints; null where the sidecar has seen none."""
    with_domains(openclick)

    listed = openclick("domain", "list", "--json").json
    shown = openclick("domain", "show", "andere.example", "--json").json
    certificate = openclick("certificate", "show", OTHER, "--json").json

    assert shown["tracking"]["certificate"] == certificate
    found = {each["name"]: each["tracking"]["certificate"] for each in listed}
    assert found["andere.example"] == certificate
    assert found["neu.example"] is None
