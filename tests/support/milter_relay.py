"""Stands between Postfix and the milter, and has the milter die at one packet of their talk.

Who calls: functional tests of a milter that is killed. Promises: bytes go through as they are;
`aim` names one packet, and when it has come whole, from either side, the milter is killed before
any of it goes on, and both connections end, as the kernel ends them for a process that is gone. So
Postfix has seen the milter's packets up to that one, and not a byte more, every time.

What a kill is here differs from a real one in one thing: the milter may already have written what
is withheld. All that it has written down by then it has written down before its first edit, so the
difference shows nowhere.

Limits: one packet a time; knows no more of the milter protocol than how its packets are told apart
(four bytes of length, then one letter).
"""

import contextlib
import select
import socket
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from support.closing import ClosedAtTheEnd

Side = Literal["postfix", "milter"]

_TIMEOUT_SECONDS = 60.0
_LENGTH_BYTES = 4


@dataclass(frozen=True)
class Packet:
    """The `number`-th packet (from 1) of a kind that a side sends in one connection."""

    side: Side
    kind: str
    number: int = 1


class MilterRelay(ClosedAtTheEnd):
    """Listens at `path` from construction to `close`; `kill` returns when the milter is dead."""

    def __init__(self, path: Path, milter: Path, kill: Callable[[], None]) -> None:
        self.said: list[tuple[Side, str]] = []
        """The packets of the last connection, in their order."""
        self.struck = False
        self._milter = milter
        self._kill = kill
        self._aim: Packet | None = None
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(path))
        path.chmod(0o666)
        self._listening.listen()
        threading.Thread(target=self._accept, name="milter-relay", daemon=True).start()

    def aim(self, packet: Packet) -> None:
        """Have the milter die when this packet comes next."""
        self.struck = False
        self._aim = packet

    def count(self, side: Side, kind: str) -> int:
        """Return how many packets of a kind the last connection had."""
        return self.said.count((side, kind))

    def close(self) -> None:
        """Listen no more."""
        with contextlib.suppress(OSError):
            # Closing alone would not wake the thread that accepts.
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                postfix, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(postfix,), daemon=True).start()

    def _serve(self, postfix: socket.socket) -> None:
        with postfix, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as milter:
            for end in (postfix, milter):
                end.settimeout(_TIMEOUT_SECONDS)
            with contextlib.suppress(OSError):
                milter.connect(str(self._milter))  # refused while there is none
                self.said = []
                self._pass_on(postfix, milter)

    def _pass_on(self, postfix: socket.socket, milter: socket.socket) -> None:
        said = self.said
        seen: Counter[tuple[Side, str]] = Counter()
        while True:
            for end in select.select([postfix, milter], [], [], _TIMEOUT_SECONDS)[0]:
                side: Side = "postfix" if end is postfix else "milter"
                raw = _packet(end)
                if raw is None:
                    return
                kind = chr(raw[_LENGTH_BYTES])
                said.append((side, kind))
                seen[side, kind] += 1
                if self._aim == Packet(side, kind, seen[side, kind]):
                    self._aim = None
                    self._kill()
                    self.struck = True
                    return
                (milter if end is postfix else postfix).sendall(raw)


def _packet(end: socket.socket) -> bytes | None:
    """Read one packet, its length included; None at the end."""
    length = _exactly(end, _LENGTH_BYTES)
    if length is None:
        return None
    rest = _exactly(end, int.from_bytes(length, "big"))
    return None if rest is None else length + rest


def _exactly(end: socket.socket, count: int) -> bytes | None:
    read = bytearray()
    while len(read) < count:
        chunk = end.recv(count - len(read))
        if not chunk:
            return None
        read += chunk
    return bytes(read)
