"""A sidecar that serves https, with a certificate by a CA of the test's.

Who calls: functional tests of the TLS entrance.  Limits: needs root, like every installation.
"""

import socket
import ssl
from pathlib import Path

from support.authority import Authority
from support.http_client import Response, fetch
from support.lone_sidecar import TRACKING_DOMAIN, LoneSidecar
from support.processes import LOOPBACK, free_port

BROWSER = ("h2", "http/1.1")
"""What browsers offer by ALPN."""


class HttpsSidecar(LoneSidecar):
    """A sidecar with a TLS listener and a certificate for TRACKING_DOMAIN by a test CA."""

    def __init__(self, **settings: object) -> None:
        self.tls_port = free_port()
        super().__init__(tls_listen=[f"{LOOPBACK}:{self.tls_port}"], **settings)
        self.ca = Authority()
        self.ca.put(self.certificates, TRACKING_DOMAIN)

    @property
    def certificates(self) -> Path:
        """The certificate directory."""
        return self.installation.certificates

    def ask(self, path: str, name: str = TRACKING_DOMAIN) -> Response:
        """Ask as a browser does."""
        tls = self.ca.client(*BROWSER)
        peer = (LOOPBACK, self.tls_port)
        return fetch(f"https://{name}{path}", peer, {"Connection": "close"}, tls=tls, timeout=30)

    def connect(self, name: str | None = TRACKING_DOMAIN, source: str = LOOPBACK) -> ssl.SSLSocket:
        """Return a connection after its handshake."""
        plain = socket.create_connection((LOOPBACK, self.tls_port), 30, (source, 0))
        context = self.ca.client(*BROWSER)
        context.check_hostname = name is not None
        try:
            return context.wrap_socket(plain, server_hostname=name)
        except BaseException:
            plain.close()
            raise

    def shown(self, name: str = TRACKING_DOMAIN) -> bytes | None:
        """Return the certificate that a client is shown."""
        with self.connect(name) as peer:
            return peer.getpeercert(binary_form=True)
