"""A disk of its own below a directory of a room, which can hang.

Who calls: the packaging tests of the watchdog. Promises: what hangs goes on again at the end,
whatever happens, and the directory has then what it had before the disk came. Limits: needs root
and a loop device; nothing below the directory may be in use when the disk comes and when it goes.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from support.room import Room

_BRING = """
mknod {device} b {major} {minor}
mount {device} /mnt
cp -a {directory}/. /mnt
umount /mnt
mount {device} {directory}
"""


class RoomDisk:
    """An ext4 that holds a copy of what was in the directory below which it is mounted."""

    def __init__(self, room: Room, directory: str) -> None:
        self._room = room
        self._directory = directory
        self._hangs = False

    def hold_up(self) -> None:
        """Have every write wait in the kernel, as for a disk that hangs."""
        self._run("fsfreeze", "-f", self._directory)
        self._hangs = True

    def let_go(self) -> None:
        """Have them go on. Idempotent."""
        if self._hangs:
            self._run("fsfreeze", "-u", self._directory)
            self._hangs = False

    def _run(self, *argv: str) -> None:
        self._room.run(*argv)


@contextlib.contextmanager
def room_disk(room: Room, directory: str, size_bytes: int) -> Iterator[RoomDisk]:
    """Put a disk below `directory` of the room; it is gone with what it holds at the end."""
    image = room.root / "var" / "tmp" / "disk.img"
    with image.open("wb") as file:
        file.truncate(size_bytes)
    _host("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", str(image))
    device = _host("losetup", "--find", "--show", str(image))
    disk = RoomDisk(room, directory)
    try:
        number = Path(device).stat().st_rdev
        words = {"device": device, "major": os.major(number), "minor": os.minor(number)}
        room.run("sh", "-euc", _BRING.format(directory=directory, **words))
        try:
            yield disk
        finally:
            disk.let_go()
            room.run("umount", directory)
            room.run("rm", device)
    finally:
        _host("losetup", "--detach", device)
        image.unlink()


def _host(*argv: str) -> str:
    done = subprocess.run(argv, check=True, timeout=60, capture_output=True, text=True)
    return done.stdout.strip()
