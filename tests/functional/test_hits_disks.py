"""The store's disk turns read-only, or hangs, under the running sidecar and its readers."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from openclick.tokens import Kind, Token
from openclick_sidecar.journal import journal_files
from openclick_sidecar.waiting_room import MAX_WAITING_HITS
from support.clicked_world import EMAIL_ID, TRACKING_DOMAIN, World
from support.disks import CuttableDisk
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.processes import LOOPBACK, wait_until

pytestmark = requires_private_postfix

MEBIBYTE = 1_048_576
KEPT = 60
"""Connections that wait through it."""
ADDRESSES = [f"127.1.0.{number}" for number in range(1, 41)]
HIT_BYTES = 2048
"""What a waiting hit takes, as `waiting_room` has it."""


@pytest.fixture
def disk_and_world() -> Iterator[tuple[CuttableDisk, World]]:
    """Give a sidecar whose store is on a disk of its own."""
    with Installation() as installation:
        disk = CuttableDisk(installation.directory, 96 * MEBIBYTE)
        with closing(disk):
            installation.state = disk.mount_point / "state"
            journal = str(installation.directory / "journal")
            world = World(installation, journal_directory=journal, reserve_bytes=0)
            yield disk, world
            world.kill()


def test_it_turns_read_only_and_is_repaired(disk_and_world: tuple[CuttableDisk, World]) -> None:
    """ext4 finds an error: the journal elsewhere takes the hits, until the disk is mounted again.

    In no mount namespace of its own, since the sidecar has to see the same: mounts are seen by the
    whole machine, as in every test here, and go with the test.
    """
    disk, world = disk_and_world
    journal = world.installation.directory / "journal"

    with world.visitors:
        time.sleep(0.5)
        disk.fail()
        wait_until(lambda: journal_files(journal), 30, "a journal")
        time.sleep(1)
        disk.repair()
        time.sleep(1)

    world.require_answers(100)
    world.require_all()
    assert "hits: go to the journal" in world.log()
    wait_until(lambda: not journal_files(journal), 20, "an empty journal")


class Kept:
    """A connection that is kept, and asks one thing after another."""

    def __init__(self, world: World, source: str) -> None:
        self._world = world
        self._socket = socket.create_connection((LOOPBACK, port_of(world)), 30, (source, 0))

    def ask(self) -> None:
        """Send one click, of a token of its own."""
        self._socket.sendall(a_click(self._world))

    def is_redirected(self) -> bool:
        """Read one answer; tell whether it is a redirect."""
        read = bytearray()
        while b"\r\n\r\n" not in read and (chunk := self._socket.recv(4096)):
            read += chunk
        return read.startswith(b"HTTP/1.1 302 ")

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


_numbers = iter(range(10_000_000, 20_000_000))


def a_click(world: World) -> bytes:
    """Return a GET of a link that nobody has asked for."""
    number = next(_numbers)
    token = Token(EMAIL_ID, number.to_bytes(4, "big"), 0, f"https://shop.kontor.example/{number}")
    text = world.visitors.ring.seal(Kind.CLICK, TRACKING_DOMAIN, token)
    return f"GET /c/{text} HTTP/1.1\r\nHost: {TRACKING_DOMAIN}\r\n\r\n".encode()


def port_of(world: World) -> int:
    """Return where readers ask."""
    return world.installation.hit_port


def impatient(world: World, count: int) -> None:
    """Have so many readers click and go away before their answer, each leaving its hit behind."""
    raw = a_click(world)
    for number in range(count):
        source = ADDRESSES[number % len(ADDRESSES)]
        with socket.create_connection((LOOPBACK, port_of(world)), 30, (source, 0)) as peer:
            peer.sendall(raw)


def memory_bytes(world: World) -> int:
    """Return what of the sidecar is in memory."""
    assert world.installation.sidecar is not None
    status = Path(f"/proc/{world.installation.sidecar.pid}/status").read_text("ascii")
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def unread_bytes(world: World) -> int:
    """Return how much has come that the sidecar does not read, from any connection."""
    ending = f":{port_of(world):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    established = [row for row in rows if row[1].endswith(ending) and row[3] != "0A"]
    return sum(int(row[4].partition(":")[2], 16) for row in established)


def test_it_hangs_until_the_waiting_room_is_full(
    disk_and_world: tuple[CuttableDisk, World],
) -> None:
    """Reading pauses and memory stays bounded; afterwards all is answered, and connections go on.

    A locked store does not fill the room, since the journal takes its hits; so the disk of both is
    held up (fsfreeze), which is what the room is for.
    """
    disk, world = disk_and_world
    with ExitStack() as held:
        kept = [
            held.enter_context(closing(Kept(world, ADDRESSES[number % len(ADDRESSES)])))
            for number in range(KEPT)
        ]
        for each in kept:
            each.ask()
        assert all(each.is_redirected() for each in kept)
        before = memory_bytes(world)

        disk.hold_up()
        try:
            impatient(world, MAX_WAITING_HITS + 500)
            for each in kept:
                each.ask()
            wait_until(lambda: unread_bytes(world) > KEPT * 100, 30, "requests that nobody reads")
            full = memory_bytes(world)
            impatient(world, 3000)
            flooded = memory_bytes(world)
        finally:
            disk.let_go()
        answered = [each.is_redirected() for each in kept]
        for each in kept:
            each.ask()
        again = [each.is_redirected() for each in kept]

    assert full - before < MAX_WAITING_HITS * HIT_BYTES * 2
    assert flooded - full < 3000 * HIT_BYTES * 2
    assert [True] * KEPT == answered
    assert [True] * KEPT == again
