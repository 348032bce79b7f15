"""The API over TLS: clients as they are, certificates that cannot be used, other addresses."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.api_client import ApiClient
from support.http_client import fetch
from support.installation import Installation
from support.processes import LOOPBACK, DaemonError

NAME = "api.openclick.example"


@pytest.fixture
def installation() -> Iterator[Installation]:
    """Give an installation with a certificate for the API, that nothing uses yet."""
    with Installation() as made:
        make_certificate(made.directory)
        yield made


def make_certificate(directory: Path) -> None:
    """Make a certificate that certifies itself, and its key."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={NAME}"),
            *("-addext", f"subjectAltName=DNS:{NAME}"),
            *("-keyout", str(directory / "api.key"), "-out", str(directory / "api.pem")),
        ],
        capture_output=True,
        check=True,
        timeout=60,
    )
    (directory / "api.key").chmod(0o644)


def configure(installation: Installation, **api: object) -> None:
    """Write settings in which the API has this certificate."""
    files = {
        "certificate_file": f"{installation.directory}/api.pem",
        "key_file": f"{installation.directory}/api.key",
    }
    installation.configure(f"unix:{installation.directory}/m.sock", 53, api=files | api)
    installation.init()


def test_a_client_over_tls(installation: Installation) -> None:
    """One that offers h2 too, as browsers and SDKs do, gets HTTP/1.1 and its answer."""
    configure(installation)
    client = ApiClient(installation)
    installation.start_sidecar()
    context = ssl.create_default_context(cafile=str(installation.directory / "api.pem"))
    context.set_alpn_protocols(["h2", "http/1.1"])

    answer = fetch(
        f"https://{NAME}/v1/whoami",
        (LOOPBACK, client.port),
        {"Authorization": f"Bearer {client.secret}"},
        tls=context,
    )
    plain = socket.create_connection((LOOPBACK, client.port), 10)
    with plain, context.wrap_socket(plain, server_hostname=NAME) as wrapped:
        chosen, version = wrapped.selected_alpn_protocol(), wrapped.version()

    assert answer.status == 200
    assert (chosen, version) == ("http/1.1", "TLSv1.3")


def shown(client: ApiClient) -> bytes:
    """Return the certificate that the API shows to a new connection, in DER."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection((LOOPBACK, client.port), 10)
    with plain, context.wrap_socket(plain, server_hostname=NAME) as wrapped:
        certificate = wrapped.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


def in_file(directory: Path) -> bytes:
    """Return the certificate that stands in the file of a directory, in DER."""
    return ssl.PEM_cert_to_DER_cert((directory / "api.pem").read_text("ascii"))


def test_a_renewed_certificate(installation: Installation) -> None:
    """It is shown from the next connection on; those that are open go on."""
    configure(installation)
    client = ApiClient(installation)
    installation.start_sidecar()
    context = ssl.create_default_context(cafile=str(installation.directory / "api.pem"))
    plain = socket.create_connection((LOOPBACK, client.port), 10)
    with plain, context.wrap_socket(plain, server_hostname=NAME) as kept:
        before = shown(client)

        make_certificate(installation.directory)

        after = shown(client)
        kept.sendall(f"GET /v1/whoami HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode("ascii"))
        answer = kept.recv(4096)
    assert before != after == in_file(installation.directory)
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_a_renewed_certificate_that_cannot_be_used(installation: Installation) -> None:
    """One without its key changes nothing, and is told once; with its key it is taken."""
    other = installation.directory / "other"
    other.mkdir()
    make_certificate(other)
    configure(installation)
    client = ApiClient(installation)
    sidecar = installation.start_sidecar()
    before = shown(client)

    (other / "api.pem").rename(installation.directory / "api.pem")
    without_key = [shown(client) for _ in range(3)]
    (other / "api.key").rename(installation.directory / "api.key")
    with_key = shown(client)

    assert without_key == [before] * 3
    assert with_key == in_file(installation.directory) != before
    told = [line for line in sidecar.log_text().splitlines() if "cannot be used together" in line]
    assert len(told) == 1
    assert "api: " in told[0]
    assert "served on" in told[0]


@pytest.mark.parametrize(
    ("api", "told"),
    [
        ({"key_file": ""}, "api.key_file: is empty"),
        ({"certificate_file": ""}, "api.certificate_file: is empty"),
        ({"certificate_file": "/nonexistent.pem"}, "api.certificate_file: /nonexistent.pem"),
        ({"certificate_file": "{}/api.key"}, "holds no certificate in PEM"),
        ({"key_file": "{}/api.pem"}, "cannot be used together"),
        ({"key_file": "{}/other/api.key"}, "cannot be used together"),
    ],
)
def test_files_that_cannot_be_used(
    installation: Installation, api: dict[str, str], told: str
) -> None:
    """The sidecar does not start, and says why in one line."""
    other = installation.directory / "other"
    other.mkdir()
    make_certificate(other)
    configure(installation, **{n: v.format(installation.directory) for n, v in api.items()})

    with pytest.raises(DaemonError) as caught:
        installation.start_sidecar()

    assert told in str(caught.value)
    assert "ended (69)" in str(caught.value)


def test_no_api(installation: Installation) -> None:
    """An empty list switches it off; the rest runs."""
    configure(installation, listen=[], certificate_file="", key_file="")

    installation.start_sidecar()

    with pytest.raises(OSError, match="refused"):
        fetch(f"http://{LOOPBACK}:{installation.api_port}/v1/whoami")


def test_a_port_that_is_taken(installation: Installation) -> None:
    """69, by the address; no half of the sidecar stays."""
    configure(installation)
    taken = socket.create_server((LOOPBACK, installation.api_port))
    with taken, pytest.raises(DaemonError) as caught:
        installation.start_sidecar()

    assert f"{LOOPBACK}:{installation.api_port}: cannot listen" in str(caught.value)
