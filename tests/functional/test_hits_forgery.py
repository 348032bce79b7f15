"""Nobody without the key makes the sidecar redirect: by GET, through the real listener.

`tests/unit/test_forgery.py` asks the same of the site alone, by HEAD; here each request could be a
hit, and the store tells whether one was.
"""

import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice

import pytest

from openclick.keys import load_keys
from openclick.tokens import Kind, Token
from support.fixtures import installed
from support.lone_sidecar import TRACKING_DOMAIN, LoneSidecar, destination
from support.mutated_tokens import mutated
from support.processes import LOOPBACK

MUTATIONS = 100_000
ONE_AT_A_TIME = 2_000
"""So many of them are sent alone: what arrives whole is read by another reader than what does not
(ADR 0016)."""
PIPELINED = 200
DOMAINS = 50
_DATE = re.compile(rb"\r\nDate: [^\r]*")
_ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) .*?\r\n\r\n", re.DOTALL)


@pytest.fixture(scope="module")
def sidecar() -> Iterator[LoneSidecar]:
    """Give a sidecar."""
    with installed(LoneSidecar) as running:
        yield running


def tokens(sidecar: LoneSidecar, kind: Kind, numbers: Iterable[int], domain: str) -> list[str]:
    """Return genuine tokens; a click's leads to the destination of its number."""
    ring = load_keys(str(sidecar.installation.state / "keys"))
    return [
        ring.seal(
            kind,
            domain,
            Token(b"e" * 16, b"c" * 4, number, destination(number) if kind is Kind.CLICK else ""),
        )
        for number in numbers
    ]


def request(path: str, host: str = TRACKING_DOMAIN) -> bytes:
    """Return a GET as a browser keeps its connection."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Mozilla/5.0\r\n\r\n".encode()


def exactly(peer: socket.socket, count: int) -> bytes:
    """Read so many bytes; fewer where the server ends before."""
    read = bytearray()
    while len(read) < count and (chunk := peer.recv(count - len(read))):
        read += chunk
    return bytes(read)


def answers_to(sidecar: LoneSidecar, paths: Iterator[str], expected: bytes) -> set[bytes]:
    """Ask for every path, most of them pipelined; return the answers without their Date.

    `expected` is what each should be; only its length is used here, to know how much to read.
    """
    found: set[bytes] = set()
    for batch_size in (1, PIPELINED):
        asked = islice(paths, ONE_AT_A_TIME) if batch_size == 1 else paths
        with closing(socket.create_connection((LOOPBACK, sidecar.port), 30)) as peer:
            while batch := list(islice(asked, batch_size)):
                peer.sendall(b"".join(map(request, batch)))
                read = exactly(peer, len(expected) * len(batch))
                found.update(
                    _DATE.sub(b"", read[place : place + len(expected)])
                    for place in range(0, len(read), len(expected))
                )
    return found


def answer_to(sidecar: LoneSidecar, path: str) -> bytes:
    """Return the whole answer to one request, whose body ends before the server falls silent."""
    with closing(socket.create_connection((LOOPBACK, sidecar.port), 30)) as peer:
        peer.sendall(request(path))
        read = bytearray()
        while not (head := _ANSWER.match(read)):
            read += peer.recv(4096)
        length = re.search(rb"(?i)content-length: (\d+)", head[0])
        assert length is not None, read
        read += exactly(peer, head.end() + int(length[1]) - len(read))
        return bytes(read)


@pytest.mark.parametrize(
    ("kind", "prefix", "status"),
    [(Kind.CLICK, "/c/", b"404"), (Kind.OPEN, "/o/", b"200")],
    ids=["links", "images"],
)
def test_100_000_mutated_tokens(
    sidecar: LoneSidecar, kind: Kind, prefix: str, status: bytes
) -> None:
    """No redirect, no hit, and byte for byte one answer but for its Date; half for each kind."""
    genuine = tokens(sidecar, kind, range(40), TRACKING_DOMAIN)
    expected = answer_to(sidecar, f"{prefix}x")

    paths = (prefix + text.replace(" ", "%20") for text in mutated(genuine, MUTATIONS // 2))
    found = answers_to(sidecar, paths, expected)
    label = (
        f'requests_total{{asked_for="{kind.name.lower()}",method="GET",status="{status.decode()}"}}'
    )

    assert {_DATE.sub(b"", expected)} == found
    assert expected.startswith(b"HTTP/1.1 %b " % status)
    assert b"Location" not in expected
    assert MUTATIONS // 2 + 1 == sidecar.metrics()[label]
    assert {} == sidecar.recorded()


def test_50_domains_and_50_tokens(sidecar: LoneSidecar) -> None:
    """Each token opens on its own domain: of 2,500 requests exactly 50 redirect and are hits."""
    domains = [f"track.shop{number}.example" for number in range(DOMAINS)]
    sealed = [
        tokens(sidecar, Kind.CLICK, [number], domain)[0] for number, domain in enumerate(domains)
    ]

    opened = []
    for place, domain in enumerate(domains):
        with closing(socket.create_connection((LOOPBACK, sidecar.port), 30)) as peer:
            for number, token in enumerate(sealed):
                peer.sendall(request(f"/c/{token}", domain))
                head = peer.recv(4096)
                if head.startswith(b"HTTP/1.1 302 "):
                    assert destination(number).encode() in head
                    opened.append((place, number))

    assert [(number, number) for number in range(DOMAINS)] == opened
    assert set(range(DOMAINS)) == set(sidecar.recorded())
