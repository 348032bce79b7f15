"""Whether a tracking domain points here: each outcome with its code and its sentence."""

from dataclasses import dataclass, field

import pytest

from openclick.domains import VerificationFailure
from openclick_sidecar.resolver import CouldNotAsk, NameNotFound
from openclick_sidecar.verifier import Verification, verify

HOST = "mail.openclick.example"
NAME = "track.kontor.example"
NEED = f"need a CNAME to {HOST}"


@dataclass
class Zone:
    """The answers of a name server; a name that is nowhere does not exist."""

    cnames: dict[str, str] = field(default_factory=dict)
    hosts: dict[str, set[str]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)

    def cname(self, name: str) -> str | None:
        self._check(name)
        return self.cnames.get(name)

    def addresses(self, name: str) -> frozenset[str]:
        self._check(name)
        if name in self.cnames:
            return self.addresses(self.cnames[name])
        return frozenset(self.hosts[name])

    def _check(self, name: str) -> None:
        if name in self.silent:
            raise CouldNotAsk(f"{name} A: timed out")
        if name not in self.cnames and name not in self.hosts:
            raise NameNotFound(name)


def failed(code: str, message: str) -> Verification:
    """Return the verification that failed so."""
    return Verification(VerificationFailure(code, message))


OURS = {HOST: {"192.0.2.1", "2001:db8::1"}}


@pytest.mark.parametrize(
    "zone",
    [
        Zone({NAME: HOST}, OURS),
        Zone({NAME: HOST}, {HOST: set()}),
        Zone({}, {**OURS, NAME: {"192.0.2.1", "2001:db8::1"}}),
        Zone({}, {**OURS, NAME: {"192.0.2.1"}}),
        Zone({NAME: "alias.cdn.example", "alias.cdn.example": HOST}, OURS),
    ],
    ids=["CNAME", "CNAME to a host without address", "same addresses", "one of them", "two CNAMEs"],
)
def test_verified(zone: Zone) -> None:
    """A CNAME to this host, or this very host's addresses (a flattened CNAME)."""
    assert Verification() == verify(NAME, HOST, zone)


@pytest.mark.parametrize(
    ("zone", "failure"),
    [
        (Zone({}, OURS), failed("name_not_found", f"{NAME} does not exist; {NEED}")),
        (
            Zone({}, {**OURS, NAME: set()}),
            failed("no_record", f"{NAME} has no CNAME and no address; {NEED}"),
        ),
        (
            Zone({NAME: "other.example"}, {**OURS, "other.example": {"198.51.100.1"}}),
            failed("points_elsewhere", f"{NAME} points to other.example; {NEED}"),
        ),
        (
            Zone({}, {**OURS, NAME: {"198.51.100.2", "198.51.100.1"}}),
            failed("points_elsewhere", f"{NAME} points to 198.51.100.1, 198.51.100.2; {NEED}"),
        ),
        (
            Zone({}, {**OURS, NAME: {"192.0.2.1", "198.51.100.1"}}),
            failed("points_elsewhere", f"{NAME} points to 192.0.2.1, 198.51.100.1; {NEED}"),
        ),
        (
            Zone({NAME: "gone.example"}, OURS),
            failed("points_elsewhere", f"{NAME} points to gone.example; {NEED}"),
        ),
        (
            Zone({}, {NAME: {"192.0.2.1"}}),
            failed("points_elsewhere", f"{NAME} points to 192.0.2.1; {NEED}"),
        ),
    ],
    ids=[
        "no such name",
        "empty name",
        "other CNAME",
        "other addresses",
        "one address too many",
        "CNAME to nowhere",
        "this host has no name",
    ],
)
def test_not_verified(zone: Zone, failure: Verification) -> None:
    """What was found, and what is needed."""
    assert failure == verify(NAME, HOST, zone)


@pytest.mark.parametrize("silent", [NAME, HOST, "other.example"])
def test_no_answer_proves_nothing(silent: str) -> None:
    """The last state holds: a name server that is down turns no tracking off."""
    hosts = {**OURS, "other.example": {"192.0.2.1"}}

    found = verify(NAME, HOST, Zone({NAME: "other.example"}, hosts, {silent}))

    assert found.keeps_state
    assert found.failure == VerificationFailure(
        "dns_no_answer",
        f"no name server answered ({silent} A: timed out); the last state holds",
    )


def test_public_hostname_is_needed() -> None:
    """Without it there is nothing to point to; no name server is asked."""
    found = verify(NAME, "", Zone(silent={NAME}))

    assert found == failed(
        "public_hostname_missing",
        "sidecar.public_hostname is not set; need the name that tracking domains point to",
    )
