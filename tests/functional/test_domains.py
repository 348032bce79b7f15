"""Tracking domains as they come and go: a real sidecar, the real command, a name server."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from openclick.domains import SendingDomain
from openclick.keys import load_keys
from openclick.store import Store
from openclick.tokens import Kind, Token, tracking_path
from support.dns_server import DnsServer
from support.http_client import Response, fetch
from support.installation import PUBLIC_HOSTNAME, Installation
from support.processes import LOOPBACK, wait_until
from support.scripted_server import answering, server

_ROOT = os.geteuid() == 0
pytestmark = pytest.mark.skipif(not _ROOT, reason="run as root")  # two users are needed

DOMAIN = "kontor.example"
NAME = f"track.{DOMAIN}"
OTHER_NAME = f"go.{DOMAIN}"
DESTINATION = "https://shop.kontor.example/"
LONG = 60.0


class Place:
    """An installation whose sidecar alone runs, and the name server that it asks."""

    def __init__(self, dns: DnsServer, **verification: object) -> None:
        self.dns = dns
        self.installation = Installation()
        self.installation.configure(
            f"unix:{self.installation.directory}/m.sock",
            dns.port,
            verification={"check_every_seconds": 1, "fetch_timeout_seconds": 2} | verification,
            dns={"nameservers": [f"{LOOPBACK}:{dns.port}"], "timeout_seconds": 1},
            log={"level": "info"},
        )
        self.installation.init()
        self.installation.start_sidecar()
        dns.set(PUBLIC_HOSTNAME, "A", LOOPBACK)

    @property
    def store(self) -> Store:
        return self.installation.store

    def openclick(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run `openclick domain ARGS`, whatever comes of it."""
        return self.installation.openclick("domain", *args, check=False)

    @contextmanager
    def begin(self, *args: str) -> Iterator[subprocess.Popen[str]]:
        """Run `openclick domain ARGS` as from a terminal, where Ctrl-C is heard."""
        argv = [*self.installation.programs.openclick, "--config", self.installation.config_path]
        with subprocess.Popen(
            ["env", "--default-signal=INT", *map(str, argv), "domain", *args],
            env=self.installation._env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def listed(self) -> list[str]:
        """Return the names of the domains that are added."""
        return [domain["name"] for domain in self.installation.openclick_json("domain", "list")]

    def tracking(self) -> dict[str, Any]:
        """Return what `domain show` tells of tracking."""
        shown: dict[str, Any] = self.installation.openclick_json("domain", "show", DOMAIN)
        return dict(shown["tracking"])

    def domain(self) -> SendingDomain:
        """Return the domain as the store has it."""
        with closing(self.store.registry_reader()) as reader:
            domain = reader.domains.maybe_domain(DOMAIN)
        assert domain is not None
        return domain

    def publish(self, name: str = NAME) -> None:
        """Publish a record as the command asks for it."""
        self.dns.set(name, "CNAME", f"{PUBLIC_HOSTNAME}.")

    def wait_for(self, code: str | None, *, verified: bool) -> None:
        """Wait until the sidecar has found this by itself."""

        def found() -> bool:
            domain = self.domain()
            failure = domain.failure.code if domain.failure else None
            return domain.checked_at is not None and (code, verified) == (
                failure,
                domain.is_verified,
            )

        wait_until(found, LONG, f"{code}, verified: {verified}; now: {self.domain()}", 0.05)

    def click(self, name: str = NAME) -> Response:
        """Follow a link that was sent with this name."""
        ring = load_keys(str(self.installation.state / "keys"))
        token = ring.seal(Kind.CLICK, name, Token(b"e" * 16, b"copy", 0, DESTINATION))
        url = f"http://{name}{tracking_path(Kind.CLICK, token)}"
        return fetch(url, (LOOPBACK, self.installation.hit_port))

    def log(self) -> str:
        """Return what the sidecar has logged."""
        return (self.installation.directory / "sidecar.log").read_text("utf-8")


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    """Give a name server of the test's own, which it may take away."""
    with DnsServer(ttl=0) as server_:
        yield server_


@pytest.fixture
def place(dns: DnsServer) -> Iterator[Place]:
    """Give an installation with one domain, whose record is not published yet."""
    made = Place(dns)
    made.openclick("add", DOMAIN, "--opens", "--clicks")
    yield made
    made.installation.close()


def test_the_sidecar_verifies_by_itself(place: Place) -> None:
    """As soon as the record is there, by the sidecar's own answer over http."""
    place.wait_for("name_not_found", verified=False)

    place.publish()

    place.wait_for(None, verified=True)
    assert not place.domain().https
    assert (
        "kontor.example: verified tracking_domain=track.kontor.example scheme=http" in place.log()
    )


def test_verify_waits_for_the_record(place: Place) -> None:
    """Status 0 once it is published; the steps stand on standard error, the domain on output."""
    with place.begin("verify", DOMAIN, "--wait", "--json") as waiting:
        place.wait_for("name_not_found", verified=False)

        place.publish()
        out, err = waiting.communicate(timeout=LONG)

    assert waiting.returncode == 0, err
    assert '"status": "verified"' in out
    assert f"openclick: asking name servers for {NAME}\n" in err
    assert f"openclick: asking http://{NAME}/ for a challenge\n" in err


def test_add_waits_for_the_record(place: Place) -> None:
    """It prints the record, says what is missing, and ends with status 0 once it is published."""
    place.openclick("remove", DOMAIN, "--yes")
    with place.begin("add", DOMAIN, "--opens", "--wait") as waiting:
        wait_until(lambda: place.listed() == [DOMAIN], LONG, "the domain")
        place.wait_for("name_not_found", verified=False)

        place.publish()
        out, err = waiting.communicate(timeout=LONG)

    assert waiting.returncode == 0, err
    assert f"  {NAME}. 3600 IN CNAME {PUBLIC_HOSTNAME}.\n" in out
    assert out.endswith(
        f"Verified: {NAME} leads here.\n"
        f"Mail of {DOMAIN} is tracked from now on, as soon as Postfix hands it to the "
        "milter (openclick postfix).\n"
    )
    assert f"openclick: {NAME} does not exist; need a CNAME to {PUBLIC_HOSTNAME}" in err


def test_ctrl_c_while_it_waits(place: Place) -> None:
    """Harms nothing: the sidecar verifies the domain without the command."""
    with place.begin("verify", DOMAIN, "--wait") as waiting:
        place.wait_for("name_not_found", verified=False)

        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=LONG)

    assert waiting.returncode == 130
    assert err.endswith(
        f"openclick: the sidecar goes on checking by itself; see: openclick domain show {DOMAIN}\n"
    )
    place.publish()
    place.wait_for(None, verified=True)


def test_a_sidecar_that_does_not_run(place: Place) -> None:
    """Is named, with the command that starts it; the record alone would not do."""
    assert place.installation.sidecar is not None
    place.installation.sidecar.close()
    place.publish()

    done = place.openclick("verify", DOMAIN)

    assert done.returncode == 1
    assert "[unreachable]" in done.stdout
    assert (
        f"openclick: the sidecar does not answer on {LOOPBACK}:{place.installation.metrics_port} "
        "(sidecar.metrics_listen), and nothing can be verified without it; start it with: "
        "systemctl enable --now openclick-sidecar-http.socket openclick-sidecar\n"
    ) in done.stderr


def test_verify_says_what_is_missing(place: Place) -> None:
    """Status 1, with the code and the sentence."""
    done = place.openclick("verify", DOMAIN)

    assert done.returncode == 1
    assert (
        f"{NAME} does not exist; need a CNAME to {PUBLIC_HOSTNAME} [name_not_found]" in done.stdout
    )


@pytest.mark.parametrize("how", ["gone", "silent", "SERVFAIL", "REFUSED"])
def test_the_resolver_does_not_answer(place: Place, how: str) -> None:
    """Nothing changes: the domain stays verified, and hits are answered meanwhile."""
    place.publish()
    place.wait_for(None, verified=True)

    if how == "gone":
        place.dns.close()
    elif how == "silent":
        place.dns.set_silent(NAME)
    else:
        place.dns.set_rcode(NAME, how)

    place.wait_for("dns_no_answer", verified=True)
    assert place.click().status == 302
    assert place.domain().failing_seconds == 0


def test_a_slow_resolver_and_many_domains(place: Place) -> None:
    """Checks wait for it in threads of their own; hits and the status page do not."""
    for number in range(20):
        name = f"slow{number}.example"
        place.dns.set_silent(f"track.{name}")
        with closing(place.store.registry()) as registry:
            registry.domains.add(SendingDomain(f"d{number}", name, True, True, "track", 1))
    wait_until(lambda: len(place.dns.queries) > 8, LONG, "questions to the silent server")

    status = [place.click().status for _ in range(50)]

    health = fetch(f"http://{LOOPBACK}:{place.installation.metrics_port}/healthz").status
    assert ([302] * 50, 200) == (status, health)


def test_the_resolver_lies(place: Place) -> None:
    """It names the right CNAME and an address of somebody else's: DNS passes, the challenge not."""
    with server(
        place.installation.hit_port, answering(b"HTTP/1.1 200 OK\r\n\r\nhello"), "127.0.0.2"
    ):
        place.dns.set(PUBLIC_HOSTNAME, "A", "127.0.0.2")
        place.publish()

        place.wait_for("wrong_answer", verified=False)

    assert "another server, or a proxy that does not pass the Host field" in str(
        place.tracking()["verification_failure"]
    )


def test_addresses_beside_the_cname(place: Place) -> None:
    """The owner of the name does not choose where this machine connects to."""
    asked: list[bytes] = []
    inside = "127.0.0.9"  # stands for a machine of the admin's own network
    place.dns.set(NAME, "A", inside)
    place.publish()

    with server(place.installation.hit_port, answering(b"", asked), inside):
        place.openclick("verify", DOMAIN)
        place.wait_for("foreign_address", verified=False)

    assert asked == []
    place.dns.remove(NAME)
    place.publish()
    place.wait_for(None, verified=True)


def test_no_hairpin_route(place: Place) -> None:
    """The address is not reached from here; with --verification dns the domain is verified."""
    place.dns.set(PUBLIC_HOSTNAME, "A", "127.0.0.3")
    place.publish()
    place.wait_for("unreachable", verified=False)
    advice = place.tracking()["verification_failure"]["message"]

    place.openclick("update", DOMAIN, "--verification", "dns")

    assert advice.endswith(f"run: openclick domain update {DOMAIN} --verification dns")
    place.wait_for(None, verified=True)


def test_a_domain_that_flaps(place: Place) -> None:
    """It stays verified within the hours that failures may take; each change is one line."""
    for _ in range(3):
        place.publish()
        place.wait_for(None, verified=True)
        place.dns.remove(NAME)
        place.wait_for("name_not_found", verified=True)

    assert place.log().count("check failed; stays verified for now") == 3
    assert place.log().count("reached again") == 2
    assert place.log().count("kontor.example: verified ") == 1
    assert place.click().status == 302


def test_failures_that_go_on(dns: DnsServer) -> None:
    """After the hours that they may take the domain is verified no more; links go on working."""
    place = Place(dns, unverify_after_hours=0.0005)
    try:
        place.openclick("add", DOMAIN, "--opens", "--clicks")
        place.publish()
        place.wait_for(None, verified=True)

        dns.remove(NAME)

        place.wait_for("name_not_found", verified=False)
        assert "error kontor.example: verified no more" in place.log()
        assert place.click().status == 302
        place.publish()
        place.wait_for(None, verified=True)
    finally:
        place.installation.close()


def test_links_outlive_the_subdomain_and_the_domain(place: Place) -> None:
    """They lead where they led, and the sidecar knows whether their name still points here."""
    place.publish()
    place.publish(OTHER_NAME)
    place.wait_for(None, verified=True)

    place.openclick("update", DOMAIN, "--tracking-subdomain", "go")
    place.wait_for(None, verified=True)
    former = place.click(NAME)
    place.openclick("remove", DOMAIN, "--yes")
    removed = place.click(OTHER_NAME)

    def names() -> list[tuple[str, str, bool]]:
        listed = place.installation.openclick_json("domain", "names")
        return [(name["name"], name["state"], name["points_here"]) for name in listed]

    assert [(302, DESTINATION)] * 2 == [(r.status, r.header("location")) for r in (former, removed)]
    place.dns.remove(NAME)
    expected = [(OTHER_NAME, "removed", True), (NAME, "removed", False)]
    wait_until(lambda: names() == expected, LONG, f"{expected}")
    assert place.click(NAME).status == 302
