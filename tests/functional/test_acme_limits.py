"""A CA that gives no more, asked by certbot's library over HTTP: whose limit it is, and how long.

Pebble knows no limits, so this one speaks just as much of ACME as an order needs to be refused.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from openclick.instants import now
from openclick.tls_settings import AcmeSettings
from openclick_sidecar.acme_client import AcmeClient, AcmeFault
from openclick_sidecar.challenges import Challenges
from support.processes import LOOPBACK

pytest.importorskip("acme", reason="the library is optional: Debian's python3-acme")

NAME = "track.kontor.example"
PROBLEM = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many certificates"}


@contextmanager
def limited_authority(resource: str, status: int) -> Iterator[str]:
    """Give the directory URL of a CA that refuses at a resource, with Retry-After: 7200."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            base = f"http://{LOOPBACK}:{self.server.server_address[1]}"
            names = {"newNonce": "new-nonce", "newAccount": "new-account", "newOrder": "new-order"}
            self._answer(200, {name: f"{base}/{path}" for name, path in names.items()})

        def do_HEAD(self) -> None:
            self._answer(200, {})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(201, {"status": "valid"})

        def _answer(self, wanted: int, found: object) -> None:
            refuses = self.path == f"/{resource}"
            body = json.dumps(PROBLEM if refuses else found).encode("ascii")
            self.send_response(status if refuses else wanted)
            self.send_header("Replay-Nonce", "bm9uY2U")
            self.send_header("Location", f"http://{LOOPBACK}/account/1")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if refuses:
                self.send_header("Retry-After", "7200")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep standard error for faults."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{LOOPBACK}:{server.server_address[1]}/directory"
        server.shutdown()
        thread.join()


def fault_of(directory: Path, resource: str, status: int) -> AcmeFault:
    """Return what an order comes to with such a CA."""
    with limited_authority(resource, status) as url:
        settings = AcmeSettings(directory_url=url)
        client = AcmeClient(settings, directory / "accounts", Challenges(directory), now)
        with pytest.raises(AcmeFault) as caught:
            client.obtain(NAME)
    return caught.value


@pytest.mark.parametrize(
    ("resource", "status", "concerns_all"),
    [("directory", 429, True), ("new-account", 429, True), ("new-order", 429, False)],
)
def test_whose_limit_it_is(
    tmp_path: Path, resource: str, status: int, *, concerns_all: bool
) -> None:
    """The name's own once there is an account; how long to wait comes through in any case."""
    fault = fault_of(tmp_path, resource, status)

    assert "too many certificates" in fault.message
    assert ("acme_rate_limited", concerns_all, 7200.0) == (
        fault.code,
        fault.concerns_all,
        fault.retry_after_seconds,
    )


def test_a_busy_authority(tmp_path: Path) -> None:
    """So Let's Encrypt sheds load, whatever was asked: no name's own business."""
    fault = fault_of(tmp_path, "new-order", 503)

    assert (True, 7200.0) == (fault.concerns_all, fault.retry_after_seconds)
