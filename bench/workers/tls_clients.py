"""Clients that connect anew for each hit, by TLS 1.3, 64 at a time; full or resumed.

    python -P -m bench.workers.tls_clients PORT NAME ROOT.pem LINKS SECONDS full|resumed

Called by `bench.tls_hits`, pinned to a processor of its own.  Prints one line of JSON: how many
were answered in how many seconds.  A refused connection, an answer other than 200 or 302, or a
handshake that was not of the kind asked for ends it with a word on standard error.
"""

from __future__ import annotations

import itertools
import json
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

_CLIENTS = 64
_FIELDS = (
    "User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36\r\n"
    "Accept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7\r\n"
    "Connection: close\r\n\r\n"
)


class Clients:
    """All the clients of a run."""

    def __init__(self, port: int, name: str, root: str, links: list[str], resumed: bool) -> None:
        self._peer, self._name = ("127.0.0.1", port), name
        self._context = ssl.create_default_context(cafile=root)
        self._context.set_alpn_protocols(["h2", "http/1.1"])
        self._requests = itertools.cycle(
            [f"GET {path} HTTP/1.1\r\nHost: {name}\r\n{_FIELDS}".encode() for path in links]
        )
        self._resumed = resumed
        self._answered = [0] * _CLIENTS
        self._lock = threading.Lock()
        self.faults: list[str] = []

    def run(self, seconds: float) -> int:
        """Ask for that long; return how many were answered."""
        end = time.monotonic() + seconds
        threads = [
            threading.Thread(target=self._ask, args=(place, end)) for place in range(_CLIENTS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(self._answered)

    def _ask(self, place: int, end: float) -> None:
        session = self._once(None) if self._resumed else None
        while time.monotonic() < end and not self.faults:
            try:
                found = self._once(session)
            except OSError as error:
                self.faults.append(repr(error))
                return
            session = found if self._resumed else None
            self._answered[place] += 1

    def _once(self, session: ssl.SSLSession | None) -> ssl.SSLSession | None:
        with self._lock:
            request = next(self._requests)
        plain = socket.create_connection(self._peer, 20)
        with self._context.wrap_socket(plain, server_hostname=self._name, session=session) as peer:
            if peer.session_reused != (session is not None):
                self.faults.append(f"resumed: {peer.session_reused}")
            peer.sendall(request)
            answer = peer.recv(10_000)
            if answer[9:12] not in (b"200", b"302"):
                self.faults.append(repr(answer[:40]))
            return peer.session


def main() -> None:
    """Run, and tell."""
    port, name, root, links, seconds, kind = sys.argv[1:]
    paths = Path(links).read_text("ascii").split()
    clients = Clients(int(port), name, root, paths, kind == "resumed")
    begin = time.monotonic()
    answered = clients.run(float(seconds))
    if clients.faults:
        sys.exit(clients.faults[0])
    print(json.dumps({"requests": answered, "seconds": time.monotonic() - begin}))


if __name__ == "__main__":
    main()
