"""Whether a tracking domain leads here: each outcome with its code and its sentence."""

from dataclasses import dataclass, field, replace

import pytest

from openclick.domain_checks import CheckResult
from openclick.domains import Scheme, VerificationFailure, VerificationMode
from openclick_sidecar.resolver import CouldNotAsk, NameNotFound
from openclick_sidecar.verifier import Surroundings, points_here, verify
from unit.samples import a_domain

HOST = "mail.openclick.example"
NAME = "track.kontor.example"
NEED = f"need a CNAME to {HOST}"
NEW = a_domain(verified_at=None)
REFUSED = VerificationFailure("wrong_answer", "gives status 404")


@dataclass
class Zone:
    """The answers of a name server; a name that is nowhere does not exist.

    Like a name server that lies, it may give a name with a CNAME addresses of its own.
    """

    cnames: dict[str, str] = field(default_factory=dict)
    hosts: dict[str, set[str]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)

    def cname(self, name: str) -> str | None:
        self._check(name)
        return self.cnames.get(name)

    def addresses(self, name: str) -> frozenset[str]:
        self._check(name)
        if name in self.cnames and name not in self.hosts:
            return self.addresses(self.cnames[name])
        return frozenset(self.hosts[name])

    def _check(self, name: str) -> None:
        if name in self.silent:
            raise CouldNotAsk(f"{name} A: timed out")
        if name not in self.cnames and name not in self.hosts:
            raise NameNotFound(name)


@dataclass
class Web:
    """This machine as it is reached: the schemes that come through, and what was asked."""

    schemes: tuple[str, ...] = ("http",)
    certified: tuple[str, ...] = ()
    asked: list[tuple[str, str, frozenset[str]]] = field(default_factory=list)

    def serves(self, name: str) -> bool:
        return name in self.certified

    def reach(
        self, scheme: str, name: str, addresses: frozenset[str]
    ) -> VerificationFailure | None:
        self.asked.append((scheme, name, addresses))
        return None if scheme in self.schemes else REFUSED


OURS = {HOST: {"192.0.2.1", "2001:db8::1"}}
GOOD = Zone({NAME: HOST}, OURS)


def around(
    zone: Zone = GOOD,
    web: Web | None = None,
    *,
    host: str = HOST,
    scheme: str = "auto",
    needs_certificate: bool = False,
) -> Surroundings:
    """Return the surroundings of a check."""
    web = web or Web()
    return Surroundings(host, scheme, needs_certificate, zone, web, web.reach)


def failed(code: str, message: str, here: bool | None = False) -> CheckResult:
    """Return the check that failed so."""
    return CheckResult(VerificationFailure(code, message), points_here=here)


# --- DNS


@pytest.mark.parametrize(
    "zone",
    [
        GOOD,
        Zone({}, {**OURS, NAME: {"192.0.2.1", "2001:db8::1"}}),
        Zone({}, {**OURS, NAME: {"192.0.2.1"}}),
        Zone({NAME: "alias.cdn.example", "alias.cdn.example": HOST}, OURS),
    ],
    ids=["CNAME", "same addresses", "one of them", "two CNAMEs"],
)
def test_verified(zone: Zone) -> None:
    """A CNAME to this host, or this very host's addresses (a flattened CNAME)."""
    assert CheckResult(points_here=True) == verify(NEW, around(zone))
    assert points_here(NAME, around(zone))


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
def test_not_verified(zone: Zone, failure: CheckResult) -> None:
    """What was found, and what is needed; nothing is fetched from a name that is not ours."""
    web = Web()

    assert failure == verify(NEW, around(zone, web))

    assert web.asked == []
    assert points_here(NAME, around(zone)) is False


@pytest.mark.parametrize("silent", [NAME, HOST, "other.example"])
def test_no_answer_proves_nothing(silent: str) -> None:
    """The last state holds: a name server that is down turns no tracking off."""
    hosts = {**OURS, "other.example": {"192.0.2.1"}}
    zone = Zone({NAME: "other.example"}, hosts, {silent})

    found = verify(NEW, around(zone))

    assert found.keeps_state
    assert found.points_here is None
    assert found.failure == VerificationFailure(
        "dns_no_answer",
        f"no name server answered ({silent} A: timed out); the last state holds",
    )
    assert points_here(NAME, around(zone)) is None


def test_public_hostname_is_needed() -> None:
    """Without it there is nothing to point to; nobody is asked, and no name is said to be gone."""
    found = verify(NEW, around(Zone(silent={NAME}), host=""))

    assert found == failed(
        "public_hostname_missing",
        "sidecar.public_hostname is not set, and this machine's own name is none that the internet "
        "could know; need the name that tracking domains point to",
        None,
    )


@pytest.mark.parametrize("mode", list(VerificationMode))
@pytest.mark.parametrize("beside", [set(), {"192.0.2.1"}])
def test_addresses_beside_the_cname(mode: VerificationMode, beside: set[str]) -> None:
    """Whoever owns the name cannot make this machine connect to where it likes."""
    web = Web()
    zone = Zone({NAME: HOST}, {**OURS, NAME: {"169.254.169.254", "10.0.0.5", *beside}})

    found = verify(a_domain(verification=mode), around(zone, web))

    assert found == failed(
        "foreign_address",
        f"{NAME} is a CNAME to {HOST}, but its name server also says 10.0.0.5, 169.254.169.254, "
        f"which {HOST} does not have; need the CNAME alone",
    )
    assert web.asked == []


def test_the_host_is_not_answered_for() -> None:
    """Then it is not known which addresses are ours: nothing is fetched, and nothing proved."""
    web = Web()

    found = verify(
        NEW, around(replace(GOOD, hosts={**OURS, NAME: {"10.0.0.5"}}, silent={HOST}), web)
    )

    assert (True, []) == (found.keeps_state, web.asked)


@pytest.mark.parametrize("mode", list(VerificationMode))
def test_the_host_has_no_address(mode: VerificationMode) -> None:
    """A CNAME to it leads nowhere, though it is the right one."""
    zone = Zone({NAME: HOST})

    found = verify(a_domain(verification=mode), around(zone))

    assert found == failed(
        "no_address",
        f"{NAME} points to {HOST}, which has no address; need an A or AAAA record of {HOST}, or "
        "another sidecar.public_hostname",
        True,
    )


def test_a_subdomain_is_needed() -> None:
    """A domain without one has nothing that could be verified."""
    found = verify(a_domain(subdomain=""), around())

    assert found.failure is not None
    assert ("subdomain_missing", None) == (found.failure.code, found.points_here)


# --- the challenge


@pytest.mark.parametrize(
    ("own", "default", "schemes", "https", "asked"),
    [
        (Scheme.AUTO, "auto", ("https", "http"), True, ["https"]),
        (Scheme.AUTO, "auto", ("http",), False, ["https", "http"]),
        (Scheme.AUTO, "https", ("https",), True, ["https"]),
        (Scheme.AUTO, "http", ("https", "http"), False, ["http"]),
        (Scheme.HTTP, "https", ("http",), False, ["http"]),
        (Scheme.HTTPS, "http", ("https",), True, ["https"]),
    ],
)
def test_reached(
    own: Scheme, default: str, schemes: tuple[str, ...], https: bool, asked: list[str]
) -> None:
    """Over what is wanted; where nothing is, over https if that comes through, else over http."""
    web = Web(schemes)

    found = verify(a_domain(scheme=own), around(web=web, scheme=default))

    assert CheckResult(https=https, points_here=True) == found
    assert [(scheme, NAME, frozenset(OURS[HOST])) for scheme in asked] == web.asked


@pytest.mark.parametrize(
    ("own", "schemes"),
    [(Scheme.AUTO, ()), (Scheme.HTTPS, ("http",)), (Scheme.HTTP, ("https",))],
)
def test_not_reached(own: Scheme, schemes: tuple[str, ...]) -> None:
    """DNS alone is not enough: a name may point here and lead elsewhere."""
    found = verify(a_domain(scheme=own), around(web=Web(schemes)))

    assert CheckResult(REFUSED, points_here=True) == found


def test_https_is_not_given_up_by_one_failure() -> None:
    """A domain that was reached over https fails where only http is left."""
    web = Web(("http",))

    found = verify(a_domain(https=True), around(web=web))

    assert REFUSED == found.failure
    assert ["https"] == [scheme for scheme, _, _ in web.asked]


def test_not_reached_from_here() -> None:
    """The sentence tells what to do where that is for want of a route."""
    fault = VerificationFailure("unreachable", "cannot be reached from here")
    surroundings = replace(around(), reach=lambda *_: fault)

    found = verify(NEW, surroundings)

    assert found.failure is not None
    assert found.failure.message == (
        "cannot be reached from here; where this machine cannot reach itself by its public "
        "address, run: openclick domain update kontor.example --verification dns"
    )


@pytest.mark.parametrize(
    ("own", "certified", "https"),
    [
        (Scheme.AUTO, (), False),
        (Scheme.AUTO, (NAME,), True),
        (Scheme.HTTPS, (), True),
        (Scheme.HTTP, (NAME,), False),
    ],
)
def test_no_hairpin_route(own: Scheme, certified: tuple[str, ...], https: bool) -> None:
    """With verification = dns nothing is fetched; https is what the admin says, or we serve."""
    web = Web((), certified)
    domain = a_domain(scheme=own, verification=VerificationMode.DNS)

    found = verify(domain, around(web=web))

    assert CheckResult(https=https, points_here=True) == found
    assert web.asked == []


def test_dns_alone_still_needs_dns() -> None:
    """The first part of the check is never left out."""
    domain = a_domain(verification=VerificationMode.DNS)

    found = verify(domain, around(Zone({}, OURS)))

    assert found.failure is not None
    assert "name_not_found" == found.failure.code


# --- TLS of our own


@pytest.mark.parametrize("mode", list(VerificationMode))
def test_a_certificate_is_missing(mode: VerificationMode) -> None:
    """Said before anything is fetched, which could only fail."""
    web = Web(("http",))

    found = verify(a_domain(verification=mode), around(web=web, needs_certificate=True))

    assert found == failed(
        "certificate_missing",
        f"{NAME} points here, but this sidecar has no certificate for it; need one that holds",
        True,
    )
    assert web.asked == []


def test_a_certificate_is_in_hand() -> None:
    """Then the challenge comes over https, and over nothing else."""
    web = Web(("https", "http"), (NAME,))

    assert CheckResult(https=True, points_here=True) == verify(
        NEW, around(web=web, needs_certificate=True)
    )
    web.schemes = ("http",)
    assert REFUSED == verify(NEW, around(web=web, needs_certificate=True)).failure


def test_a_domain_that_is_to_have_no_https() -> None:
    """It needs no certificate, though others have one."""
    found = verify(a_domain(scheme=Scheme.HTTP), around(needs_certificate=True))

    assert CheckResult(points_here=True) == found


def test_steps_are_told() -> None:
    """In the order in which they are taken, for whoever waits."""
    steps: list[str] = []

    verify(NEW, around(), steps.append)

    assert steps == [
        f"asking name servers for {NAME}",
        f"asking https://{NAME}/ for a challenge",
        f"asking http://{NAME}/ for a challenge",
    ]
