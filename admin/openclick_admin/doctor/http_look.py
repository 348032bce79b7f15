"""One GET over one connection to a given address, with or without TLS.

Called by the doctor and by `sidecar_presence`.

Promises: no redirect followed, no name looked up, at most 64 KiB read, an end after some seconds.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from dataclasses import dataclass

from openclick.instants import SECOND, Instant
from openclick.option_kinds import HostPort

_SECONDS = 5.0
_MOST_BYTES = 65_536
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to


class NoAnswer(Exception):
    """Nothing came back that is HTTP; the message says what happened instead."""


@dataclass(frozen=True)
class Page:
    """What came back."""

    status: int
    server: str
    body: bytes


@dataclass(frozen=True)
class Shown:
    """What a TLS server shows: its certificate's life, or why a browser would refuse it."""

    not_after_at: Instant | None = None
    mistrust: str = ""
    not_before_at: Instant | None = None


def get(
    address: HostPort,
    host: str,
    path: str,
    context: ssl.SSLContext | None = None,
    hail: bytes = b"",
) -> Page:
    """Ask for `path` of `host`; `hail` goes before the request.  Raises NoAnswer."""
    try:
        with contextlib.closing(_connected(address, host, context)) as connected:
            connected.sendall(hail)
            connection = http.client.HTTPConnection(host)
            connection.sock = connected
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            return Page(
                response.status, response.getheader("Server") or "", response.read(_MOST_BYTES)
            )
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(_why(error)) from error


def look_at_certificate(address: HostPort, host: str) -> Shown:
    """Shake hands as a browser does.  Raises NoAnswer where there is no TLS at all."""
    context = ssl.create_default_context()
    try:
        with contextlib.closing(_connected(address, host, context)) as connected:
            assert isinstance(connected, ssl.SSLSocket)
            found = connected.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        return Shown(mistrust=error.verify_message)
    except OSError as error:
        raise NoAnswer(_why(error)) from error
    begin, end = (
        ssl.cert_time_to_seconds(str(found[field])) * SECOND for field in ("notBefore", "notAfter")
    )
    return Shown(not_after_at=end, not_before_at=begin)


def near(address: HostPort) -> HostPort:
    """Return where an address that is listened on is reached from this machine."""
    return HostPort(_ANY.get(address.host, address.host), address.port)


def unverified() -> ssl.SSLContext:
    """Return a context that takes any certificate: whether it holds is asked apart."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _connected(address: HostPort, host: str, context: ssl.SSLContext | None) -> socket.socket:
    plain = socket.create_connection((address.host, address.port), _SECONDS)
    if context is None:
        return plain
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def _why(error: OSError | http.client.HTTPException) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, TimeoutError):
        return f"no answer after {_SECONDS:g} s"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"no HTTP: {error or type(error).__name__}"
