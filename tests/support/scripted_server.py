"""A server that answers each connection as a test says, with TLS or without.

Who calls: functional tests of what may stand at a tracking domain's address. Promises: connections
are served one after another in a thread, which has ended when the context has. Limits: it reads a
request as one packet.
"""

import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.processes import LOOPBACK

Serve = Callable[[socket.socket], None]


@contextmanager
def server(port: int, serve: Serve, address: str = LOOPBACK) -> Iterator[None]:
    """Serve each connection by `serve`."""
    with socket.create_server((address, port)) as listener:

        def run() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer, suppress(OSError):
                    serve(peer)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def answering(answer: bytes, asked: list[bytes] | None = None) -> Serve:
    """Return what reads a request and answers so."""

    def serve(peer: socket.socket) -> None:
        request = peer.recv(4096)
        if asked is not None:
            asked.append(request)
        peer.sendall(answer)

    return serve


def make_certificate(path: Path, name: str) -> None:
    """Write a self-signed certificate and its key into one file."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
         "-keyout", f"{path}.key", "-out", f"{path}.crt"],
        check=True, capture_output=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    path.write_bytes(Path(f"{path}.crt").read_bytes() + Path(f"{path}.key").read_bytes())


def secured(path: Path, serve: Serve) -> Serve:
    """Return what speaks TLS with a certificate before it serves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)

    def serve_secured(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as inner:
            serve(inner)

    return serve_secured
