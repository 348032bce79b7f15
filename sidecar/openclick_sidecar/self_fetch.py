"""Asks a tracking domain for a challenge, as a reader's program would, at addresses that are given.

Called by `verifier`, in a thread: blocking, with one deadline over connecting, TLS, asking and
reading.  It asks no name server and knows no proxy.  A machine that answers must do so right at
each address that is reached: readers get one of them by chance.  An address that this machine
cannot reach is not held against a domain that is reached at another one.

Promises: each failure has a stable code and a sentence.  Limits: HTTP/1.1 over TCP; reads 8 KiB.
"""

from __future__ import annotations

import hmac
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from openclick.domains import VerificationFailure

UNREACHABLE = "unreachable"
"""The code where no address was reached: perhaps for want of a route from here alone."""

_MOST_BYTES = 8192
_MOST_ADDRESSES = 8


@dataclass(frozen=True)
class Target:
    """What is asked for: `path` of `name`, over `scheme`, at a port."""

    scheme: str
    name: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The Host field."""
        own_port = 443 if self.scheme == "https" else 80
        return self.name if self.port == own_port else f"{self.name}:{self.port}"

    @property
    def url(self) -> str:
        """The URL without the challenge, for people."""
        return f"{self.scheme}://{self.authority}/"


class _Unreached(Exception):
    """No connection at this address."""


class _Failed(Exception):
    def __init__(self, code: str, found: str) -> None:
        super().__init__(found)
        self.code = code


class SelfFetch:
    """Fetches; `timeout_seconds` is for one address in all.

    Certificates are checked as browsers do it, against the machine's list of authorities.
    """

    def __init__(
        self, timeout_seconds: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._monotonic = monotonic
        self._context: ssl.SSLContext | None = None

    def fetch(
        self, target: Target, addresses: Iterable[str], expected: str
    ) -> VerificationFailure | None:
        """Return why `expected` did not come from `target`, None where it did."""
        unreached: list[str] = []
        reached = False
        for address in sorted(addresses)[:_MOST_ADDRESSES]:
            try:
                self._ask(target, address, expected)
                reached = True
            except _Unreached as fault:
                unreached.append(f"{address}: {fault}")
            except _Failed as fault:
                return VerificationFailure(
                    fault.code,
                    f"{target.url} at {address} {fault}; need this sidecar's own answer there",
                )
        if reached:
            return None
        found = ", ".join(unreached) or "it has no address"
        return VerificationFailure(
            UNREACHABLE,
            f"{target.url} cannot be reached from here ({found}); need a listener there that "
            "leads to this sidecar",
        )

    def _ask(self, target: Target, address: str, expected: str) -> None:
        deadline = self._monotonic() + self._timeout_seconds
        try:
            peer = socket.create_connection((address, target.port), self._timeout_seconds)
        except OSError as error:
            raise _Unreached(_words(error)) from error
        with peer:
            try:
                status, body = self._exchange(target, peer, deadline, expected)
            except ssl.SSLCertVerificationError as error:
                raise _Failed(
                    "certificate_invalid", f"shows a certificate that does not hold: {_why(error)}"
                ) from error
            except ssl.SSLError as error:
                raise _Failed(
                    "tls_failed", f"does not speak TLS as browsers do: {error}"
                ) from error
            except TimeoutError as error:
                raise _Failed("answer_late", "takes the connection and does not answer") from error
            except OSError as error:
                raise _Failed(
                    "tls_failed" if target.scheme == "https" else "wrong_answer",
                    f"ends the connection: {_words(error)}",
                ) from error
        if status != "200" or not hmac.compare_digest(body, expected.encode("ascii")):
            raise _Failed("wrong_answer", _described(status))

    def _exchange(
        self, target: Target, peer: socket.socket, deadline: float, expected: str
    ) -> tuple[str, bytes]:
        self._await(peer, deadline)
        if target.scheme == "https":
            with self._tls().wrap_socket(peer, server_hostname=target.name) as secured:
                return self._request(target, secured, deadline, expected)
        return self._request(target, peer, deadline, expected)

    def _request(
        self, target: Target, peer: socket.socket, deadline: float, expected: str
    ) -> tuple[str, bytes]:
        self._await(peer, deadline)
        peer.sendall(
            f"GET {target.path} HTTP/1.1\r\nHost: {target.authority}\r\n"
            "User-Agent: OpenClick\r\nAccept: text/plain\r\nConnection: close\r\n\r\n".encode(
                "ascii"
            )
        )
        received, end = bytearray(), expected.encode("ascii")
        # A server may keep the connection, whatever it was asked.
        while end not in received and len(received) < _MOST_BYTES:
            self._await(peer, deadline)
            chunk = peer.recv(_MOST_BYTES)
            if not chunk:
                break
            received += chunk
        return _parsed(bytes(received))

    def _await(self, peer: socket.socket, deadline: float) -> None:
        left = deadline - self._monotonic()
        if left <= 0:
            raise TimeoutError
        peer.settimeout(left)

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context()
            self._context.set_alpn_protocols(["http/1.1"])
        return self._context


def _parsed(answer: bytes) -> tuple[str, bytes]:
    """Return the status code and the body of an answer, without the frame of a chunk."""
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split(b" ")
    status = words[1].decode("latin-1") if len(words) > 1 and head[:5] == b"HTTP/" else ""
    if b"\r\ntransfer-encoding: chunked" in head.lower():  # a proxy's doing
        body = body.partition(b"\r\n")[2].partition(b"\r\n")[0]
    return status, body.strip()


def _described(status: str) -> str:
    if not status:
        return "gives no HTTP answer"
    what = "another answer" if status == "200" else f"status {status}"
    return f"gives {what}: another server, or a proxy that does not pass the Host field"


def _why(error: ssl.SSLCertVerificationError) -> str:
    return getattr(error, "verify_message", "") or str(error)


def _words(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return error.strerror or str(error)
