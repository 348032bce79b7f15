"""Where log lines go: standard error, systemd's journal, or syslog.

Called by `logs.start_logging`.  The journal is what standard error leads to where systemd says so
(JOURNAL_STREAM, systemd.exec(5)); each line then begins with its level as sd-daemon(3) has it, so
that `journalctl -p warning` finds it.  Syslog is /dev/log, facility mail, as Postfix's own lines.

Promises: nobody waits for a syslog that does not read: a line that it cannot take goes to standard
error instead.  Limits: one datagram a line, cut at 8 KiB.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Mapping

SYSLOG_SOCKET = "/dev/log"
_MAIL = 2 << 3  # facility mail (RFC 5424, 6.2.1)
_SEVERITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7
_MOST_BYTES = 8192


def severity(level: int) -> int:
    """Return syslog's severity of one of logging's levels: 3 error, 4 warning, 6 info, 7 debug."""
    return next((number for least, number in _SEVERITIES if level >= least), _DEBUG)


def is_journal(environment: Mapping[str, str], descriptor: int) -> bool:
    """Tell whether a descriptor is the stream to the journal that systemd has opened for us."""
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


class JournalHandler(logging.StreamHandler):  # type: ignore[type-arg] # no parameter at run time
    """Standard error, each line with its level in front."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line as the journal's stream takes it."""
        return f"<{severity(record.levelno)}>{super().format(record)}"


class SyslogHandler(logging.Handler):
    """The machine's syslog; `path` is its socket."""

    def __init__(self, program: str, path: str = SYSLOG_SOCKET) -> None:
        super().__init__()
        self._program = program
        self._path = path
        self._socket: socket.socket | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line, or write it to standard error where that cannot be."""
        text = self.format(record)
        head = f"<{_MAIL | severity(record.levelno)}>{self._program}[{os.getpid()}]: "
        try:
            self._connected().send((head + text).encode("utf-8")[:_MOST_BYTES])
        except OSError:
            self._hang_up()
            print(f"{self._program} {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Close the socket."""
        self._hang_up()
        super().close()

    def _connected(self) -> socket.socket:
        if self._socket is None:
            opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            opened.setblocking(False)
            try:
                opened.connect(self._path)
            except OSError:
                opened.close()
                raise
            self._socket = opened
        return self._socket

    def _hang_up(self) -> None:
        """Give the socket up: a syslog that was restarted has another one."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None
