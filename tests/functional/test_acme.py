"""ACME against a real CA on loopback: Debian's pebble."""

import dataclasses
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openclick_sidecar.certificates import bundle
from support.authority import Authority, replace
from support.dns_server import DnsServer
from support.fixtures import installed
from support.http_client import Response, fetch
from support.installation import PUBLIC_HOSTNAME
from support.lone_sidecar import TRACKING_DOMAIN, LoneSidecar, destination
from support.pebble import Pebble, unavailable_reason
from support.processes import LOOPBACK, free_port, wait_until

_missing = unavailable_reason()
pytestmark = pytest.mark.skipif(_missing is not None, reason=str(_missing))  # no pebble here
PATIENCE = 120
FAKETIME = next(map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), "")
OTHER = "track.andere.example"
_SHORT_PAUSE = (
    "import openclick_sidecar.main as m, openclick_sidecar.renewals as r; "
    "r._FIRST_PAUSE_SECONDS = 5.0; m.main()"
)


class AcmeSidecar(LoneSidecar):
    """A sidecar with a TLS listener, whose CA is `pebble`; TRACKING_DOMAIN is added."""

    def __init__(self, pebble: Pebble, port: int, **acme: object) -> None:
        self.pebble = pebble
        self.dns = DnsServer()
        self.dns.set(PUBLIC_HOSTNAME, "A", LOOPBACK)
        self.tls_port = free_port()
        self._acme = {"directory_url": pebble.directory_url, "ca_file": str(pebble.ca_file)}
        self._acme |= {"terms_agreed": True, **acme}
        super().__init__()
        self.listen_on(port)
        self.add(TRACKING_DOMAIN)

    def __exit__(self, *raised: object) -> None:
        """End the name server too."""
        super().__exit__(*raised)
        self.dns.close()

    def listen_on(self, port: int) -> None:
        """Have plain HTTP answered at `port` from the next start on."""
        self.installation.hit_port = port
        self.installation.configure(
            f"unix:{self.installation.directory}/m.sock",
            self.dns.port,
            sidecar={"tls_listen": [f"{LOOPBACK}:{self.tls_port}"]},
            acme=self._acme,
            log={"level": "info"},
        )

    def add(self, tracking_domain: str) -> None:
        """Add the sending domain of a tracking domain that leads here."""
        self.dns.set(tracking_domain, "CNAME", f"{PUBLIC_HOSTNAME}.")
        sending = tracking_domain.partition(".")[2]
        self.installation.openclick("domain", "add", sending, "--opens", "--clicks")

    def state(self, name: str = TRACKING_DOMAIN) -> dict[str, Any]:
        """Return what the command shows."""
        shown = self.installation.openclick("certificate", "show", name, "--json", check=False)
        return json.loads(shown.stdout) if shown.returncode == 0 else {}

    def wait_for(
        self,
        name: str = TRACKING_DOMAIN,
        *,
        patience: float = PATIENCE,
        error: str = "",
        **wanted: object,
    ) -> dict[str, Any]:
        """Wait until the command shows this, and `error` as the last one's code."""

        def found() -> dict[str, Any] | None:
            state = self.state(name)
            if error and (state.get("last_error") or {}).get("code") != error:
                return None
            return state if {key: state.get(key) for key in wanted} == wanted else None

        try:
            return wait_until(found, patience, f"{name}: {wanted} {error}", 0.3)
        except TimeoutError:
            pytest.fail(f"{self.state(name)}\n{self.daemon.log_text()}")

    def file(self, name: str = TRACKING_DOMAIN) -> Path:
        """Return the certificate's file."""
        return self.installation.certificates / f"{name}.pem"

    def ask(self, path: str, tls: ssl.SSLContext, name: str = TRACKING_DOMAIN) -> Response:
        """Ask by https."""
        return fetch(f"https://{name}{path}", (LOOPBACK, self.tls_port), tls=tls, timeout=30)


def acme_sidecar(pebble: Pebble, port: int, **acme: object) -> AcmeSidecar:
    """Return a sidecar that is not started yet."""
    return installed(AcmeSidecar, pebble, port, **acme)


@pytest.fixture
def port() -> int:
    """Give the port that plays 80."""
    return free_port()


@pytest.fixture
def pebble(port: int) -> Iterator[Pebble]:
    """Give a CA that asks for challenges at `port`."""
    with Pebble(port) as running:
        yield running


def test_a_certificate_is_issued_and_served(pebble: Pebble, port: int) -> None:
    """By itself once a domain is added; a browser accepts it, and a link leads on."""
    with acme_sidecar(pebble, port) as sidecar:
        state = sidecar.wait_for(status="served", https=True)
        answer = sidecar.ask(sidecar.link(1), pebble.client())
        sidecar.add(OTHER)
        sidecar.wait_for(OTHER, https=True)
        other = sidecar.ask("/", pebble.client(), OTHER)
        log = sidecar.daemon.log_text()
        rights = (sidecar.installation.certificates / f"{OTHER}.pem").stat().st_mode & 0o777

    assert (302, destination(1)) == (answer.status, answer.header("location"))
    assert 200 == other.status
    assert ("acme", None, 0) == (state["origin"], state["last_error"], state["failures"])
    assert f"{TRACKING_DOMAIN}: certificate obtained expires=" in log
    assert 0o600 == rights
    assert "-----BEGIN" not in log


def test_a_certificate_is_renewed_at_two_thirds_of_its_life(pebble: Pebble, port: int) -> None:
    """One that ACME gave; one that certbot put there is left to certbot."""
    ca = Authority()
    sidecar = acme_sidecar(pebble, port)
    sidecar.add(OTHER)
    old = ca.issue(TRACKING_DOMAIN, days=90, starts_in_days=-61)
    replace(sidecar.file(), bundle(old.chain, old.key))
    foreign = ca.put(sidecar.installation.certificates, OTHER, days=90, starts_in_days=-80)
    with sidecar:
        wait_until(lambda: old.key not in sidecar.file().read_bytes(), PATIENCE, "renewal", 0.3)
        state = sidecar.wait_for(https=True, failures=0, last_error=None)
        answer = sidecar.ask("/", pebble.client())
        other, content = sidecar.state(OTHER), sidecar.file(OTHER).read_bytes()

    assert 200 == answer.status
    assert "acme" == state["origin"]
    assert ("file", None) == (other["origin"], other["attempted_at"])
    assert foreign.bundle == content


def test_failure_and_recovery(pebble: Pebble, port: int) -> None:
    """A name that leads elsewhere: state and log say why; once it leads here `renew` brings it."""
    elsewhere = free_port()
    with acme_sidecar(pebble, elsewhere) as sidecar:
        failed = sidecar.wait_for(failures=1, error="acme_validation_failed")
        log = sidecar.daemon.log_text()
        sidecar.daemon.close()
        sidecar.listen_on(port)
        sidecar.daemon = sidecar.installation.start_sidecar()
        waits = sidecar.state()["next_attempt_at"]
        sidecar.installation.openclick("certificate", "renew", TRACKING_DOMAIN)
        state = sidecar.wait_for(https=True, failures=0, last_error=None)

    assert "missing" == failed["status"]
    assert "could not see that the name is ours" in failed["last_error"]["message"]
    assert TRACKING_DOMAIN in failed["last_error"]["message"]
    assert f"error {TRACKING_DOMAIN}: no certificate: " in log
    assert "code=acme_validation_failed next_attempt=" in log
    assert waits == failed["next_attempt_at"]
    assert failed["attempted_at"] < waits
    assert "served" == state["status"]


def test_the_directory_is_down(pebble: Pebble, port: int) -> None:
    """All orders pause, no name is blamed, and hits are answered; then it goes on by itself.

    The first pause is 5 s here, not a minute, and the sidecar otherwise as it is.
    """
    pebble.stop()
    sidecar = acme_sidecar(pebble, port)
    programs = sidecar.installation.programs
    python, *_ = programs.sidecar
    sidecar.installation.programs = dataclasses.replace(
        programs, sidecar=(python, "-P", "-c", _SHORT_PAUSE)
    )
    with sidecar:
        down = sidecar.wait_for(error="acme_unreachable")
        clicked = sidecar.click(1).status
        pebble.start()
        up = sidecar.wait_for(https=True, patience=2 * PATIENCE)

    assert pebble.directory_url in down["last_error"]["message"]
    assert 0 == down["failures"]
    assert 302 == clicked
    assert ("served", None) == (up["status"], up["last_error"])


def test_the_ca_is_killed_and_comes_back_without_our_account(pebble: Pebble, port: int) -> None:
    """Nothing of the account has to be remembered but its key."""
    with acme_sidecar(pebble, port) as sidecar:
        sidecar.wait_for(https=True)
        pebble.stop()
        pebble.start()
        sidecar.add(OTHER)
        sidecar.wait_for(OTHER, https=True, patience=2 * PATIENCE)
        accounts = list((sidecar.installation.certificates / "accounts").iterdir())
        rights = [path.stat().st_mode & 0o777 for path in accounts]

    assert [0o600] == rights


def test_a_restart_orders_nothing_twice(pebble: Pebble, port: int) -> None:
    """What failed waits on; what was obtained stays; the account is found again by its key."""
    with acme_sidecar(pebble, port) as sidecar:
        sidecar.wait_for(https=True)
        content = sidecar.file().read_bytes()
        sidecar.daemon.close()
        sidecar.daemon = sidecar.installation.start_sidecar()
        sidecar.add(OTHER)
        sidecar.wait_for(OTHER, https=True)

        assert content == sidecar.file().read_bytes()
        assert 1 == len(list((sidecar.installation.certificates / "accounts").iterdir()))


@pytest.mark.skipif(not FAKETIME, reason="needs Debian's package faketime")  # for its clock
@pytest.mark.parametrize(("days", "says"), [(400, "400 days ahead"), (-400, "400 days behind")])
def test_a_clock_that_is_400_days_off(pebble: Pebble, port: int, days: int, says: str) -> None:
    """Nothing is ordered and the state says why, though the CA's own https looks wrong as well."""
    ca = Authority()
    sidecar = acme_sidecar(pebble, port)
    ca.put(sidecar.installation.certificates, OTHER)
    sidecar.add(OTHER)
    sidecar.installation.extra_env = {
        "LD_PRELOAD": FAKETIME,
        "FAKETIME": f"{days:+}d",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with sidecar:
        # Ahead, the other one looks expired, and is the first in the alphabet to be due.
        state = sidecar.wait_for(OTHER if days > 0 else TRACKING_DOMAIN, error="clock_off")
        other = sidecar.ask("/", ca.client(), OTHER)
        shown = sidecar.state(OTHER)["https"]
        sidecar.daemon.close()
        sidecar.installation.extra_env = {}
        sidecar.daemon = sidecar.installation.start_sidecar()
        right = sidecar.wait_for(https=True, last_error=None)

    assert says in state["last_error"]["message"]
    assert 0 == state["failures"]
    assert 200 == other.status
    assert (days < 0) == shown
    assert "acme" == right["origin"]


def test_terms_that_are_not_agreed_to(pebble: Pebble, port: int) -> None:
    """Nobody agrees in the admin's name; the state names the terms."""
    with acme_sidecar(pebble, port, terms_agreed=False) as sidecar:
        state = sidecar.wait_for(error="acme_terms")

    assert "acme.terms_agreed" in state["last_error"]["message"]


def test_an_external_account(port: int) -> None:
    """Some CAs want one; without it they refuse."""
    secret = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    with Pebble(port, eab={"kid-1": secret}) as pebble:
        hmac_file = pebble.ca_file.with_name("eab")
        hmac_file.write_text(f"{secret}\n")
        with acme_sidecar(pebble, port) as without:
            refused = without.wait_for(error="acme_refused")
        settings = {"eab_key_id": "kid-1", "eab_hmac_file": str(hmac_file)}
        with acme_sidecar(pebble, port, **settings) as sidecar:
            state = sidecar.wait_for(https=True)

    assert "externalAccount" in refused["last_error"]["message"]
    assert "served" == state["status"]


def test_a_ca_whose_https_is_not_trusted(pebble: Pebble, port: int) -> None:
    """Is as good as down."""
    with acme_sidecar(pebble, port, ca_file="") as sidecar:
        state = sidecar.wait_for(error="acme_unreachable")

    assert "certificate" in state["last_error"]["message"].lower()


def test_acme_without_a_tls_listener_says_so(pebble: Pebble, port: int) -> None:
    """Certificates that nobody serves are surely not what was meant."""
    sidecar = acme_sidecar(pebble, port)
    sidecar.installation.configure(
        f"unix:{sidecar.installation.directory}/m.sock",
        53,
        acme={"directory_url": pebble.directory_url},
    )
    with sidecar:
        log = sidecar.daemon.log_text()

    assert "warning tls: acme.directory_url is set, but there is no TLS listener" in log
