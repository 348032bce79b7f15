"""Small file systems of a test's own, to be filled up or cut off.

Who calls: functional tests of full disks and power cuts. Promises: what was mounted is unmounted at
the end, whatever happens. Limits: needs root; a power cut loses what was not flushed, but tears no
sector and no disk lies.
"""

import contextlib
import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2


@contextlib.contextmanager
def memory_disk(directory: Path, size_bytes: int) -> Iterator[Path]:
    """Give a file system of this size in memory, mounted at `directory`."""
    directory.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=755", "openclick", str(directory))
    try:
        yield directory
    finally:
        _unmount(directory)


class CuttableDisk:
    """An ext4 in a file, mounted at `mount_point`, whose power can be cut."""

    def __init__(self, directory: Path, size_bytes: int) -> None:
        self._image = directory / "disk.img"
        self.mount_point = directory / "disk"
        self.mount_point.mkdir()
        with self._image.open("wb") as file:
            file.truncate(size_bytes)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        self.mount()
        self.mount_point.chmod(0o755)

    def mount(self) -> None:
        """Mount it; after a cut ext4 replays its own journal."""
        _run("mount", "-o", "loop", str(self._image), str(self.mount_point))

    def cut(self) -> None:
        """Cut the power: from now on nothing reaches the disk, not even ext4's own journal."""
        descriptor = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def unmount(self) -> None:
        """Unmount it, which frees the loop device too."""
        _run("umount", str(self.mount_point))

    def close(self) -> None:
        """Unmount it if it is mounted.  Idempotent."""
        if self.mount_point.is_mount():
            _unmount(self.mount_point)


def _unmount(directory: Path) -> None:
    # Lazily, so that a process that still holds a file does not leave the mount behind.
    subprocess.run(["umount", "-l", str(directory)], check=True, timeout=30)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, timeout=60, capture_output=True)
