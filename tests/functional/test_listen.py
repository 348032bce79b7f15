"""Where the sidecar listens."""

import socket

import pytest

from support.http_client import fetch
from support.installation import Installation, InstallationError
from support.processes import free_port

HOST = {"Host": "track.kontor.example"}


@pytest.fixture
def installation() -> Installation:
    """Give an installation whose daemons are not started."""
    try:
        installed = Installation()
    except InstallationError as error:
        pytest.skip(str(error))
    with installed:
        yield installed


def test_every_address_of_both_families_answers(installation: Installation) -> None:
    """0.0.0.0 and [::] stand side by side on one port, as the setting's own example says."""
    port = free_port()
    installation.configure(
        f"unix:{installation.directory}/m.sock",
        53,
        sidecar={"listen": [f"0.0.0.0:{port}", f"[::]:{port}"]},
    )
    installation.init()

    installation.start_sidecar()
    four = fetch(f"http://127.0.0.1:{port}/robots.txt", headers=HOST)
    six = fetch(f"http://[::1]:{port}/robots.txt", ("::1", port), HOST)

    assert (200, 200) == (four.status, six.status)


def test_addresses_in_use_end_the_start_and_free_the_others(installation: Installation) -> None:
    """If one of two ports is taken, nothing is left half-started."""
    free, taken = free_port(), free_port()
    installation.configure(
        f"unix:{installation.directory}/m.sock",
        53,
        sidecar={"listen": [f"127.0.0.1:{free}", f"127.0.0.1:{taken}"]},
    )
    with socket.create_server(("127.0.0.1", taken)):
        with pytest.raises(Exception, match=f"127.0.0.1:{taken}: cannot listen"):
            installation.start_sidecar()

        with socket.create_server(("127.0.0.1", free)):
            pass
