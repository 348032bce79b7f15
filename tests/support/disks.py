"""Small file systems of a test's own, to be filled up, cut off, made read-only or held up.

Who calls: functional tests of full disks, power cuts, and disks that fail or hang.
Promises: what was mounted is unmounted at the end, whatever happens. Limits: needs root; a power
cut loses what was not flushed, but tears no sector and no disk lies.
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
    """An ext4 in a file, mounted at `mount_point`, whose power can be cut, and which can fail."""

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
        # A loop device of its own each time: `mount -o loop` takes the one that the image has, and
        # with it the faulty file system, as long as somebody has a file of that open.
        device = _run("losetup", "--find", "--show", str(self._image)).strip()
        try:
            _run("mount", "-o", "errors=remount-ro", device, str(self.mount_point))
        finally:
            _run("losetup", "--detach", device)  # which the kernel does once it is unmounted

    def cut(self) -> None:
        """Cut the power: from now on nothing reaches the disk, not even ext4's own journal."""
        descriptor = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def fail(self) -> None:
        """Have ext4 find an error: it becomes read-only, whoever has files open.

        `mount -o remount,ro` would not: it refuses while a file is open for writing.
        """
        device = Path(_run("findmnt", "-no", "SOURCE", str(self.mount_point)).strip()).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("test", "ascii")

    def repair(self) -> None:
        """Check it and mount it again in its place, while who has files open keeps the old one."""
        _unmount(self.mount_point)
        # 1: errors were corrected, which is what it is for.
        subprocess.run(
            ["e2fsck", "-f", "-y", str(self._image)], check=False, capture_output=True, timeout=60
        )
        self.mount()

    def hold_up(self) -> None:
        """Have every write wait, as for a disk that hangs."""
        _run("fsfreeze", "-f", str(self.mount_point))

    def let_go(self) -> None:
        """Have them go on."""
        _run("fsfreeze", "-u", str(self.mount_point))

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


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, timeout=60, capture_output=True, text=True).stdout
