"""Talks to systemd without a library: tells how a daemon is doing, takes sockets over.

Called by both daemons.  sd_notify(3): does nothing where NOTIFY_SOCKET is not set, and never
raises: a service manager that does not listen is no reason to stop serving.  sd_listen_fds(3):
sockets that systemd, or another parent, has opened already.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass

_FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START


@dataclass(frozen=True)
class InheritedSocket:
    """A descriptor from the parent, and the name that FileDescriptorName= gives it."""

    descriptor: int
    name: str


def notify(*states: str) -> None:
    """Send states such as "READY=1" or "MAINPID=4711" in one datagram."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket's name begins with NUL
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto("\n".join(states).encode("utf-8"), address)
    except OSError:
        return


def inherited_sockets(environment: MutableMapping[str, str], pid: int) -> list[InheritedSocket]:
    """Return what the parent has handed to process `pid`, ready to be listened on.

    Each is made non-blocking (a blocking accept would hang an event loop for good, and systemd
    hands over blocking ones unless told) and close-on-exec.  The variables are removed, so that no
    child takes itself for the heir.  Descriptors that are not open are left out.
    """
    heir = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if heir != str(pid) or not count.isdecimal():
        return []
    found = []
    for place in range(int(count)):
        descriptor = _FIRST_DESCRIPTOR + place
        try:
            os.set_blocking(descriptor, False)
            os.set_inheritable(descriptor, False)
        except OSError:
            continue
        found.append(InheritedSocket(descriptor, names[place] if place < len(names) else ""))
    return found


def watchdog_seconds(environment: MutableMapping[str, str], pid: int) -> float | None:
    """Return how long systemd waits for a sign of life of process `pid`, None for no watchdog."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    watched = environment.get("WATCHDOG_PID", str(pid))
    if not microseconds.isdecimal() or watched != str(pid):
        return None
    return int(microseconds) / 1_000_000 or None
