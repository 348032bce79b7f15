"""`openclick doctor` where the sidecar speaks TLS itself: certificates as browsers take them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.authority import Authority
from support.deployment import DOMAIN, TRACKING_DOMAIN
from support.dns_server import DnsServer
from support.fixtures import installed
from support.installation import PUBLIC_HOSTNAME, Installation
from support.processes import LOOPBACK, free_port, wait_until
from support.ward import Looked, examine


class SecureWard:
    """A sidecar with a TLS listener and one for a proxy, and a CA that the command trusts."""

    def __init__(self, installation: Installation, dns: DnsServer, directory: Path) -> None:
        self.installation = installation
        self.ca = Authority()
        self.root = directory / "root.pem"
        self.root.write_bytes(self.ca.root_pem)
        tls_port, proxied_port = free_port(), free_port()
        installation.configure(
            f"unix:{installation.directory}/m.sock",
            dns.port,
            sidecar={
                "listen": [f"{LOOPBACK}:{installation.hit_port}"],
                "tls_listen": [f"{LOOPBACK}:{tls_port}"],
                "proxy_protocol_listen": [f"{LOOPBACK}:{proxied_port}"],
                "trusted_proxies": [f"{LOOPBACK}/32"],
                "metrics_listen": [f"{LOOPBACK}:{installation.metrics_port}"],
                "public_hostname": PUBLIC_HOSTNAME,
            },
            links={"scheme": "https", "https_port": tls_port},
        )
        dns.set(PUBLIC_HOSTNAME, "A", LOOPBACK)
        dns.set(TRACKING_DOMAIN, "CNAME", f"{PUBLIC_HOSTNAME}.")
        installation.init()
        self.ca.put(installation.certificates, TRACKING_DOMAIN)
        installation.openclick("domain", "add", DOMAIN, "--opens", "--clicks")
        installation.start_sidecar()
        self.wait_for("certificate", "served")

    def wait_for(self, field: str, status: str) -> None:
        """Wait until the sidecar has written down how the certificate is."""
        wait_until(
            lambda: [
                each
                for each in self.installation.openclick_json("certificate", "list")
                if each["status"] == status
            ],
            30,
            f"a {field} that is {status}",
        )

    def examine(self, *, trusting: bool = True) -> Looked:
        """Run the doctor; without `trusting` the CA is unknown, as one of an admin's own is."""
        self.installation.extra_env = {"SSL_CERT_FILE": str(self.root)} if trusting else {}
        return examine(self.installation, "--postfix-config", str(self.installation.directory))


@pytest.fixture
def ward(dns_server: DnsServer, tmp_path: Path) -> Iterator[SecureWard]:
    """Give it, running."""
    with installed(Installation) as installation:
        yield SecureWard(installation, dns_server, tmp_path)


def test_a_certificate_that_holds_and_one_nobody_trusts(ward: SecureWard) -> None:
    """The self-fetch looks with a browser's eyes; every listener answers, the proxies' too."""
    well, unknown = ward.examine(), ward.examine(trusting=False)

    for check in ("self-fetch", "certificates", "ports"):
        assert well.faults(check) + well.warnings(check) == []
    (line,) = unknown.faults("self-fetch")
    assert "browsers refuse its certificate: unable to get local issuer certificate" in line


def test_a_certificate_that_expires_soon_and_then_has(ward: SecureWard) -> None:
    """In the files that the sidecar has read, and in what it shows."""
    ward.ca.put(ward.installation.certificates, TRACKING_DOMAIN, starts_in_days=-80)
    wait_until(lambda: ward.examine().warnings("certificates"), 60, "the new certificate")
    soon = ward.examine()
    ward.installation.sidecar.close()  # type: ignore[union-attr]
    ward.ca.put(ward.installation.certificates, TRACKING_DOMAIN, days=1, starts_in_days=-3)
    ward.installation.start_sidecar()
    ward.wait_for("certificate", "expired")
    expired = ward.examine()

    assert "its certificate expires in 9 days" in soon.warnings("certificates")[0]
    assert "its certificate expires at" in soon.warnings("self-fetch")[0]
    assert "its certificate has expired at" in expired.faults("certificates")[0]
    assert expired.faults("self-fetch")
