"""Gives the socket over to a successor without a moment in which Postfix finds nobody.

Called by `main`: on SIGUSR2 (a package upgrade, `systemctl reload`) the running milter starts a
fresh interpreter with its own command line. The successor binds a socket under a name of its own,
renames it over the public path, tells systemd that it is the main process now, and tells its
parent; the parent lets its sessions end and exits. A successor that finds a fault exits instead,
and the parent stays.

Promises: the public path never goes missing, and whoever was connected is served to the end; a
milter that serves already is never pushed aside by a second one, only by its own successor.
Limits: a Unix socket only; what left-over names a killed milter leaves are removed at start.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

READY_FD_VARIABLE = "OPENCLICK_HANDOVER_FD"
_READY = b"ready"
_SUCCESSOR_SECONDS = 30.0


class HandoverFailed(Exception):
    """There is no successor; the message says why, and this process stays."""


def own_path(public: Path) -> Path:
    """Return the name under which this process binds its socket, beside the public one."""
    return public.with_name(f"{public.name}.{os.getpid()}")


def is_served(public: Path) -> bool:
    """Tell whether somebody answers at `public` already, though this is no hand-over."""
    if READY_FD_VARIABLE in os.environ:
        return False
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(public))
        except OSError:
            return False
    return True


@dataclass(frozen=True)
class PublicSocket:
    """The socket of this process at the public path; `inode` tells it from a later one there."""

    path: Path
    inode: int

    def withdraw(self) -> None:
        """Remove it, unless another one stands there by now."""
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_ino == self.inode:
                self.path.unlink()


def publish(public: Path) -> PublicSocket:
    """Make the socket of this process the public one, in one step; remove what killed ones left.

    Raises OSError where something else stands there; the socket is gone then.
    """
    own = own_path(public)
    inode = own.stat().st_ino
    try:
        own.rename(public)
    except OSError:
        own.unlink()
        raise
    for stale in _left_overs(public):
        stale.unlink(missing_ok=True)
    return PublicSocket(public, inode)


def start_successor() -> int:
    """Start a fresh milter with this one's command line; return its pid once it serves.

    Raises HandoverFailed where it ends, or is not ready in time; it is then no more.
    """
    try:
        reading, writing = os.pipe()
    except OSError as error:
        raise HandoverFailed(f"no successor could be started: {error.strerror}") from error
    environment = {**os.environ, READY_FD_VARIABLE: str(writing)}
    try:
        successor = subprocess.Popen(  # noqa: S603 - our own command line
            sys.orig_argv, env=environment, pass_fds=[writing]
        )
    except OSError as error:
        os.close(reading)
        raise HandoverFailed(f"no successor could be started: {error.strerror}") from error
    finally:
        os.close(writing)
    try:
        if _hears_ready(reading):
            return successor.pid
    finally:
        os.close(reading)
    successor.kill()
    raise HandoverFailed(f"the successor ended with status {successor.wait()}")


def tell_predecessor() -> bool:
    """Tell the milter that started this one, if one did, that this one serves now."""
    descriptor = os.environ.pop(READY_FD_VARIABLE, None)
    if descriptor is None:
        return False
    with contextlib.suppress(OSError):  # it may have been killed meanwhile: all the more reason
        os.write(int(descriptor), _READY)
    os.close(int(descriptor))
    return True


def _hears_ready(reading: int) -> bool:
    # Not select: with a thousand sessions open the descriptor is past what it can take.
    heard = select.poll()
    heard.register(reading, select.POLLIN)
    return bool(heard.poll(_SUCCESSOR_SECONDS * 1000)) and os.read(reading, len(_READY)) == _READY


def _left_overs(public: Path) -> list[Path]:
    """Return sockets beside the public one whose process is gone."""
    pattern = re.compile(re.escape(public.name) + r"\.(\d+)\Z")
    matches = ((pattern.match(path.name), path) for path in public.parent.iterdir())
    return [path for match, path in matches if match and not Path("/proc", match[1]).exists()]
