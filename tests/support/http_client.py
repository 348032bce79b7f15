"""One HTTP request over one real socket, exactly as asked for.

Who calls: functional tests, the demo and the bench, as the reader's mail program or browser.
Promises: no DNS (the peer is given), no redirect followed, no header added but Host, the path and
query as they stand in the URL. Limits: HTTP/1.1, one request a connection, body read whole.
"""

import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from support.processes import LOOPBACK

_CHUNK = 65536


@dataclass(frozen=True)
class Response:
    """An answer; `headers` in their order, `header` ignores case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of this header, or None."""
        return next((v for key, v in self.headers if key.lower() == name.lower()), None)


def fetch(
    url: str,
    connect_to: tuple[str, int] | None = None,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    body: bytes | None = None,
    timeout: float = 10.0,
    tls: ssl.SSLContext | None = None,
    source: str = "",
) -> Response:
    """Ask for `url` at `connect_to` (without one: at the URL's own literal address and port).

    `source` is the address to come from.
    """
    parts = urlsplit(url)
    peer = connect_to or (parts.hostname or LOOPBACK, parts.port or _default_port(parts.scheme))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(*peer, timeout=timeout)
    try:
        connection.sock = _connect(peer, timeout, tls, parts.hostname, parts.scheme, source)
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in _with_host(parts.netloc, headers, body).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return Response(answer.status, tuple(answer.getheaders()), answer.read())
    finally:
        connection.close()


def raw_request(
    port: int, data: bytes, host: str = LOOPBACK, timeout: float = 10.0, most: int = 10_000_000
) -> bytes:
    """Send these bytes and return all that comes until the server closes.

    The sending side stays open: a server may take its closing for the end of interest.
    """
    received = bytearray()
    with socket.create_connection((host, port), timeout) as peer:
        peer.sendall(data)
        try:
            while len(received) < most and (chunk := peer.recv(_CHUNK)):
                received += chunk
        except ConnectionResetError:
            pass  # a server that refuses with unread data closes like this; keep what came
        except TimeoutError as error:
            raise TimeoutError(
                f"{host}:{port} did not close within {timeout:g} s; so far: {bytes(received)!r}"
            ) from error
    return bytes(received)


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _with_host(
    netloc: str, headers: Mapping[str, str] | None, body: bytes | None
) -> dict[str, str]:
    fields = {"Host": netloc} if "host" not in {name.lower() for name in headers or {}} else {}
    fields |= headers or {}
    if body is not None:
        fields.setdefault("Content-Length", str(len(body)))
    return fields


def _connect(
    peer: tuple[str, int],
    timeout: float,
    tls: ssl.SSLContext | None,
    hostname: str | None,
    scheme: str,
    source: str,
) -> socket.socket:
    plain = socket.create_connection(peer, timeout, (source, 0) if source else None)
    if scheme != "https":
        return plain
    try:
        return (tls or ssl.create_default_context()).wrap_socket(plain, server_hostname=hostname)
    except BaseException:
        plain.close()
        raise
