"""Answers Postfix's SASL questions as Dovecot would, for a fixed set of accounts.

Who calls: support.postfix, for listeners with `sasl=True`. Promises: AUTH PLAIN, with or without
an initial response, so that {auth_authen} and {auth_type} are real. Limits: PLAIN only; the
authentication half of Dovecot's protocol 1.1 only.
"""

import base64
import binascii
import contextlib
import socketserver
import threading
from collections.abc import Mapping
from pathlib import Path

from support.cut_connections import CutAtClose

_GREETING = b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n"
_STOP_SECONDS = 10.0


class SaslServer:
    """Listens on a Unix socket from construction to `close`."""

    def __init__(self, path: Path, users: Mapping[str, str]) -> None:
        self._server = _Server(path, users)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="sasl-server", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening and cut what is open. Idempotent."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(_STOP_SECONDS)
        self._server.server_close()


class _Server(CutAtClose, socketserver.ThreadingUnixStreamServer):
    def __init__(self, path: Path, users: Mapping[str, str]) -> None:
        self.users = users
        super().__init__(str(path), _Handler)


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self.wfile.write(_GREETING)
            for line in self.rfile:
                command, *fields = line.decode("utf-8", "replace").rstrip("\n").split("\t")
                if command in {"AUTH", "CONT"}:
                    self.wfile.write(self._answer(command, fields))

    def _answer(self, command: str, fields: list[str]) -> bytes:
        request = fields[0]
        if command == "CONT":
            return self._verdict(request, fields[1])
        if fields[-1].startswith("resp="):
            return self._verdict(request, fields[-1].removeprefix("resp="))
        return f"CONT\t{request}\t\n".encode()

    def _verdict(self, request: str, response: str) -> bytes:
        try:
            decoded = base64.b64decode(response, validate=True).decode("utf-8")
            _, user, password = decoded.split("\0")
        except (binascii.Error, ValueError):
            return f"FAIL\t{request}\treason=malformed PLAIN response\n".encode()
        if self.server.users.get(user) == password:
            return f"OK\t{request}\tuser={user}\n".encode()
        return f"FAIL\t{request}\tuser={user}\n".encode()
