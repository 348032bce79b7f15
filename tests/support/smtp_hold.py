"""An SMTP server that takes a message and keeps its answer back.

Who calls: functional tests of the API, for what happens while a submission is in doubt. Promises: a
message counts as taken once its final dot has come, whether or not it is answered; `release` lets
all answers out, `refuse` has MAIL answered otherwise. Limits: loopback; one thread a connection;
knows what smtplib says, no more.
"""

import contextlib
import socket
import threading

from support.closing import ClosedAtTheEnd
from support.processes import LOOPBACK

_REPLIES = {
    b"EHLO": b"250-hold.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 100000000\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}


class SmtpHold(ClosedAtTheEnd):
    """Listens from construction to `close`; `taken` grows with each message that has come."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self._released = threading.Event()
        self._refusal: bytes | None = None
        self._listening = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, name="smtp-hold", daemon=True).start()

    def release(self) -> None:
        """Answer what has been taken, and from now on at once."""
        self._released.set()

    def refuse(self, reply: str | None) -> None:
        """Answer MAIL so ("451 4.3.0 later"), None to take it again."""
        self._refusal = reply.encode("ascii") + b"\r\n" if reply else None

    def say(self, data: bytes) -> None:
        """Send something unasked on every connection."""
        for peer in self._open:
            peer.sendall(data)

    def hang_up(self) -> None:
        """End every connection without an answer."""
        for peer in self._open:
            with contextlib.suppress(OSError):
                # Closing alone would wait for the thread that reads from it.
                peer.shutdown(socket.SHUT_RDWR)
            peer.close()
        self._open.clear()

    def close(self) -> None:
        """End."""
        with contextlib.suppress(OSError):
            # Closing alone would leave the port open for as long as a thread waits in accept.
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.release()
        self.hang_up()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        try:
            with peer.makefile("rb") as lines:
                peer.sendall(b"220 hold.example ESMTP\r\n")
                for line in lines:
                    verb = line[:4].upper()
                    refused = verb == b"MAIL" and self._refusal
                    peer.sendall(refused or _REPLIES.get(verb, b"250 ok\r\n"))
                    if verb == b"DATA":
                        self.taken.append(b"".join(iter(lines.readline, b".\r\n")))
                        self._released.wait()
                        peer.sendall(b"250 ok: queued as HELD1\r\n")
        except (OSError, ValueError):
            pass  # the other side, or `close`, has ended it
