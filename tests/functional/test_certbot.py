"""certbot beside the sidecar: its webroot is served, what it obtains is shown without a reload."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.fixtures import installed
from support.http_client import fetch
from support.installation import REPOSITORY
from support.lone_sidecar import TRACKING_DOMAIN, LoneSidecar, destination
from support.pebble import Pebble, unavailable_reason
from support.processes import LOOPBACK, free_port

HOOK = REPOSITORY / "contrib" / "certbot" / "deploy-hook"
OTHER = "links.andere.example"

needs_certbot = pytest.mark.skipif(  # no certbot here, or no CA for it to ask
    unavailable_reason() is not None or not Path("/usr/bin/certbot").exists(),
    reason="Debian's packages certbot and pebble are needed",
)


@pytest.fixture
def tls_port() -> int:
    """Give the port that plays 443."""
    return free_port()


@pytest.fixture
def sidecar(tls_port: int) -> Iterator[LoneSidecar]:
    """Give a sidecar without ACME of its own."""
    with installed(LoneSidecar, tls_listen=[f"{LOOPBACK}:{tls_port}"]) as running:
        yield running


def certbot(sidecar: LoneSidecar, pebble: Pebble, directory: Path, *words: str) -> None:
    """Run Debian's certbot as an admin does."""
    argv = [
        *("/usr/bin/certbot", *words, "--non-interactive"),
        *("--config-dir", f"{directory}/etc", "--work-dir", f"{directory}/var"),
        *("--logs-dir", f"{directory}/log", "--no-random-sleep-on-renew"),
    ]
    env = {
        "PATH": "/usr/bin:/bin",
        "REQUESTS_CA_BUNDLE": str(pebble.ca_file),
        "OPENCLICK_CERTIFICATES": str(sidecar.installation.certificates),
    }
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr


@needs_certbot
def test_certbot_obtains_and_renews(sidecar: LoneSidecar, tls_port: int, tmp_path: Path) -> None:
    """By the webroot; the hook hands the certificate over, and the running sidecar shows it."""
    peer = (LOOPBACK, tls_port)
    file = sidecar.installation.certificates / f"{TRACKING_DOMAIN}.pem"
    with Pebble(sidecar.port) as pebble:
        certbot(
            *(sidecar, pebble, tmp_path, "certonly", "--webroot"),
            *("--webroot-path", str(sidecar.installation.state / "acme-webroot")),
            *("-d", TRACKING_DOMAIN, "-d", OTHER, "--server", pebble.directory_url),
            *("--deploy-hook", str(HOOK), "--agree-tos", "--register-unsafely-without-email"),
        )
        trust, first = pebble.client(), file.read_bytes()
        answer = fetch(f"https://{TRACKING_DOMAIN}{sidecar.link(1)}", peer, tls=trust)
        other = fetch(f"https://{OTHER}/", peer, tls=trust)
        certbot(sidecar, pebble, tmp_path, "renew", "--force-renewal")
        renewed = fetch(f"https://{TRACKING_DOMAIN}{sidecar.link(2)}", peer, tls=trust)

    assert (302, destination(1)) == (answer.status, answer.header("location"))
    assert 200 == other.status
    assert (302, destination(2)) == (renewed.status, renewed.header("location"))
    assert first != file.read_bytes()
    assert 2 == sidecar.daemon.log_text().count(f"{TRACKING_DOMAIN}: certificate read")
    assert (0o640, sidecar.installation.gid) == (file.stat().st_mode & 0o777, file.stat().st_gid)


def test_the_hook_takes_wildcards_and_leaves_nothing(tmp_path: Path) -> None:
    """A name with a star is a file's name; what is written in part is no file of a name."""
    lineage, certificates = tmp_path / "lineage", tmp_path / "certificates"
    lineage.mkdir()
    certificates.mkdir()
    (lineage / "fullchain.pem").write_text("chain\n")
    (lineage / "privkey.pem").write_text("key\n")
    env = {
        "PATH": "/usr/bin:/bin",
        "RENEWED_LINEAGE": str(lineage),
        "RENEWED_DOMAINS": "*.kontor.example track.andere.example",
        "OPENCLICK_CERTIFICATES": str(certificates),
    }

    done = subprocess.run([HOOK], env=env, cwd="/usr/bin", capture_output=True, check=False)
    (lineage / "privkey.pem").unlink()
    failed = subprocess.run([HOOK], env=env, cwd="/usr/bin", capture_output=True, check=False)

    assert (0, b"", b"") == (done.returncode, done.stdout, done.stderr)
    assert failed.returncode != 0
    names = ["*.kontor.example.pem", "track.andere.example.pem"]
    assert names == sorted(os.listdir(certificates))
    assert {"chain\nkey\n"} == {(certificates / name).read_text() for name in names}
