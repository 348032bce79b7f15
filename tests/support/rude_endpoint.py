"""An endpoint that does to a POST whatever a test says, byte by byte.

Who calls: functional tests of webhooks.  Promises: each connection has a thread; a behaviour gets
the connection once the whole request is there; `accepted` counts connections, handshake or not.
Limits: requests with Content-Length only; one request a connection.
"""

import contextlib
import functools
import re
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable

from support.closing import ClosedAtTheEnd
from support.processes import LOOPBACK

Behaviour = Callable[[socket.socket], None]
_SECONDS = 60.0


class RudeEndpoint(ClosedAtTheEnd):
    """Listens from construction to `close`."""

    def __init__(self, behave: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self.accepted = 0
        self.requests: list[bytes] = []
        self._behave = behave
        self._tls = tls
        self._listener = socket.create_server((LOOPBACK, 0))
        self._open: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="rude-endpoint", daemon=True)
        self._thread.start()

    def url(self, host: str = LOOPBACK) -> str:
        """Return where to post."""
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}/in"

    def close(self) -> None:
        """Stop listening and cut what is open."""
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._open.append(connection)
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, raw: socket.socket) -> None:
        raw.settimeout(_SECONDS)
        with contextlib.suppress(OSError):
            connection = self._tls.wrap_socket(raw, server_side=True) if self._tls else raw
            with connection:
                self.requests.append(_read_request(connection))
                self._behave(connection)


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while (match := re.search(rb"(?i)content-length: (\d+)", data)) is None or len(
        data.partition(b"\r\n\r\n")[2]
    ) < int(match[1]):
        chunk = connection.recv(65_536)
        if not chunk:
            break
        data += chunk
    return data


def answering(status: int, *fields: str) -> Behaviour:
    """Answer without a body."""
    head = "".join(f"{text}\r\n" for text in (f"HTTP/1.1 {status} X", "Content-Length: 0", *fields))
    return lambda connection: connection.sendall(f"{head}\r\n".encode())


def hanging(_connection: socket.socket) -> None:
    """Say nothing for a minute."""
    time.sleep(_SECONDS)


def trickling(connection: socket.socket) -> None:
    """Begin an answer, and send a byte of it now and then."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b"x")
        time.sleep(0.2)


def endless_body(connection: socket.socket) -> None:
    """Send a body of errors that never ends, as fast as it is taken."""
    connection.sendall(b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n%s\r\n" % (b"x" * 65_536)
    while True:
        connection.sendall(chunk)


def endless_header(connection: socket.socket) -> None:
    """Send header fields that never end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    fields = b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(100))
    while True:
        connection.sendall(fields)


def gzip_bomb(connection: socket.socket) -> None:
    """Send 500 MB, compressed to half a megabyte."""
    bomb = bomb_bytes()
    connection.sendall(
        b"HTTP/1.1 500 X\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    )
    connection.sendall(bomb)


@functools.cache
def bomb_bytes() -> bytes:
    """Return the bomb; making it takes a second or two, the first time."""
    press = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = b"\0" * 1_000_000
    return b"".join(press.compress(piece) for _ in range(500)) + press.flush()


def resetting(connection: socket.socket) -> None:
    """Reset the connection instead of answering."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
