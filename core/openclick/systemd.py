"""Tells systemd how a daemon is doing (sd_notify(3)), without a library.

Called by both daemons.  Does nothing where NOTIFY_SOCKET is not set.  Promises: never raises: a
service manager that does not listen is no reason to stop serving.
"""

from __future__ import annotations

import os
import socket


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
