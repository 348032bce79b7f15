"""SMTP by hand: one command at a time, halts anywhere, hangs up without a word.

Who calls: functional tests that need a client which smtplib would not be: slow, gone in the middle
of DATA, or with a body that no line end closes (BDAT). Promises: what is written goes out as it is;
every wait is bounded. Limits: no TLS, no login.
"""

import re
import select
import socket
from typing import Self

from support.smtp_client import Address

_TIMEOUT_SECONDS = 30.0
_LAST_LINE = re.compile(rb"^(\d{3})( .*)?\r\n\Z", re.MULTILINE)
GONE = 421


class SmtpWire:
    """One connection; the greeting has been read when the constructor returns."""

    def __init__(self, listener: Address, timeout: float = _TIMEOUT_SECONDS) -> None:
        self._socket = socket.create_connection((listener.host, listener.port), timeout)
        self.greeting = self.reply()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.hang_up()

    def command(self, *lines: str) -> tuple[int, str]:
        """Say each line and read its reply; return the first refusal, else the last reply."""
        answer = (GONE, "nothing was said")
        for line in lines:
            answer = self.say(line.encode("utf-8") + b"\r\n")
            if answer[0] >= 400:
                break
        return answer

    def say(self, raw: bytes) -> tuple[int, str]:
        """Write bytes and read a reply."""
        try:
            self.write(raw)
        except ConnectionError as error:
            return GONE, f"connection closed: {error}"
        return self.reply()

    def write(self, raw: bytes) -> None:
        """Write bytes and read nothing."""
        self._socket.sendall(raw)

    def reply(self) -> tuple[int, str]:
        """Read one reply, however many lines it has; a closed connection counts as 421."""
        read = bytearray()
        while not (last := _LAST_LINE.search(read)):
            try:
                chunk = self._socket.recv(4096)
            except ConnectionError as error:
                return GONE, f"connection closed: {error}"
            if not chunk:
                return GONE, "connection closed"
            read += chunk
        return int(last[1]), read.decode("utf-8", "replace").strip()

    def is_silent(self, seconds: float) -> bool:
        """Tell whether no reply comes for so long."""
        return not select.select([self._socket], [], [], seconds)[0]

    def bdat(self, raw: bytes) -> tuple[int, str]:
        """Submit a message by one last BDAT, in which nothing needs a line end."""
        return self.say(b"BDAT %d LAST\r\n" % len(raw) + raw)

    def hang_up(self) -> None:
        """Close the connection without QUIT. Idempotent."""
        self._socket.close()


def dotted(raw: bytes) -> bytes:
    """Return the bytes of a message as DATA carries them, with the final dot."""
    stuffed = re.sub(rb"^\.", b"..", raw, flags=re.MULTILINE)
    return stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n"
