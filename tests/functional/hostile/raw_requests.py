"""Requests as bytes, and what comes back for them, for tests of those who mean it ill.

Who calls: tests of this folder.
"""

import re

from support.fixtures import installed
from support.lone_sidecar import TRACKING_DOMAIN, LoneSidecar

HOST = f"Host: {TRACKING_DOMAIN}\r\n".encode()
GOOD = b"GET /robots.txt HTTP/1.1\r\n" + HOST + b"\r\n"
LAST = b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"


def answers_of(received: bytes) -> list[tuple[int, bytes]]:
    """Read answers one after another, strictly; return status and body of each."""
    found = []
    while received:
        head, end, rest = received.partition(b"\r\n\r\n")
        assert end, received
        status = re.match(rb"HTTP/1\.1 (\d{3}) ", head)
        assert status is not None, received
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        size = int(length[1]) if length else 0
        found.append((int(status[1]), rest[:size]))
        received = rest[size:]
    return found


def lone_sidecar(**settings: object) -> LoneSidecar:
    """Return a sidecar that is not started yet."""
    return installed(LoneSidecar, **settings)
