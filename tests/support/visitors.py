"""Readers who click: several keep-alive connections, each request a token of its own.

Who calls: functional tests of what must not be lost. Promises: `answered` holds the destinations
whose redirect came back whole, and nothing else; every token is asked for once. Limits: plain HTTP,
GET, one request under way a connection.
"""

import itertools
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from openclick.tokens import KeyRing, Kind, Token
from support.processes import LOOPBACK

_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_END = b"\r\n\r\n"


@dataclass
class Visitors:
    """`count` readers of one message's copies; each click is on a copy, and a link, of its own."""

    ring: KeyRing
    tracking_domain: str
    email_id: bytes
    port: int
    count: int = 8
    pause_seconds: float = 0.0
    answered: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Begin to click."""
        self._stop.clear()
        self._threads = [threading.Thread(target=self._visit) for _ in range(self.count)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        """Finish the clicks that are under way, and end."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def click(self, times: int) -> None:
        """Click so many times, one after another, in the caller's thread."""
        with socket.create_connection((LOOPBACK, self.port), 10) as peer:
            for _ in range(times):
                self._click(peer)

    def _visit(self) -> None:
        """Click until the end, or until the server goes away."""
        try:
            with socket.create_connection((LOOPBACK, self.port), 10) as peer:
                while not self._stop.is_set() and self._click(peer):
                    self._stop.wait(self.pause_seconds)
        except OSError as error:
            self.refused.append(str(error))

    def _click(self, peer: socket.socket) -> bool:
        """Make one request; return whether it was answered with its redirect."""
        number = next(self._numbers)
        destination = f"https://shop.kontor.example/{number}"
        token = Token(self.email_id, number.to_bytes(4, "big"), 0, destination)
        path = self.ring.seal(Kind.CLICK, self.tracking_domain, token)
        peer.sendall(
            f"GET /c/{path} HTTP/1.1\r\nHost: {self.tracking_domain}\r\n"
            f"User-Agent: {_BROWSER}\r\nAccept: text/html\r\n\r\n".encode("ascii")
        )
        answer = b""
        while _END not in answer:
            chunk = peer.recv(65536)
            if not chunk:
                self.refused.append(f"closed after {answer!r}")
                return False
            answer += chunk
        if not answer.startswith(b"HTTP/1.1 302 ") or destination.encode() not in answer:
            self.refused.append(repr(answer))
            return False
        self.answered.append(destination)
        return True
