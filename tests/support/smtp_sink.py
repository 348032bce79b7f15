"""An SMTP server that keeps every message byte for byte.

Who calls: functional tests, the demo and the bench, as the next hop behind the private Postfix.
Promises: `content` is what came between DATA and the final dot, only the dot-stuffing undone;
lines up to 1 MB, 8BITMIME, SMTPUTF8, messages up to 100 MB. Limits: loopback, no TLS, no login;
everything stays in memory until `clear`.

aiosmtpd's SMTP protocol runs on an event loop of our own in one thread. Its Controller is not
used: it connects to itself at start, joins without bound at stop, and from Python 3.12 on waits
for clients that keep their connection.
"""

import asyncio
import socket
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiosmtpd.smtp import SMTP

from support.closing import ClosedAtTheEnd
from support.processes import LOOPBACK, WaitTimeoutError

LINE_LIMIT = 1_048_576
MESSAGE_LIMIT = 100_000_000
_COMMAND_LIMIT = 4096
_STOP_SECONDS = 10.0

# Made by type(), since a checker that knows no types of aiosmtpd refuses a class statement.
_LongLineSMTP: Callable[..., Any] = type(
    "_LongLineSMTP",
    (SMTP,),
    {
        "line_length_limit": LINE_LIMIT + 2,
        "command_size_limit": _COMMAND_LIMIT,
        "command_size_limits": defaultdict(lambda: _COMMAND_LIMIT),
    },
)


@dataclass(frozen=True)
class SinkMessage:
    """One message as it arrived; the null sender is the empty string."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    mail_options: tuple[str, ...] = ()
    rcpt_options: tuple[str, ...] = ()

    @property
    def headers_bytes(self) -> bytes:
        """The header section, with the CRLF of its last field."""
        head, blank, _ = self.content.partition(b"\r\n\r\n")
        return head + blank[:2]

    @property
    def body_bytes(self) -> bytes:
        """What follows the first empty line."""
        return self.content.partition(b"\r\n\r\n")[2]


class SmtpSink(ClosedAtTheEnd):
    """Listens from construction or `with` to `close`; `messages` grows in order of arrival."""

    def __init__(self, port: int = 0) -> None:
        self.messages: list[SinkMessage] = []
        self._arrival = threading.Condition()
        self._refusal: str | None = None
        self._listening = socket.create_server((LOOPBACK, port), backlog=256)
        self.host: str = LOOPBACK
        self.port: int = self._listening.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._connections: list[Any] = []
        self._thread = threading.Thread(target=self._run, name="smtp-sink", daemon=True)
        self._thread.start()

    def wait_for(self, count: int, timeout: float = 10.0) -> list[SinkMessage]:
        """Return the messages as soon as there are `count`; WaitTimeoutError tells how many."""
        with self._arrival:
            if not self._arrival.wait_for(lambda: len(self.messages) >= count, timeout):
                raise WaitTimeoutError(
                    f"SMTP sink on port {self.port}: {len(self.messages)} of {count} messages"
                    f" after {timeout:g} s"
                )
            return list(self.messages)

    def clear(self) -> None:
        """Forget all messages."""
        with self._arrival:
            self.messages.clear()

    def refuse(self, reply: str | None) -> None:
        """Answer the end of DATA with this reply ("451 4.3.0 later") until told None."""
        self._refusal = reply

    def close(self) -> None:
        """Cut all connections and free the port. Idempotent."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_STOP_SECONDS)
            if self._thread.is_alive():
                raise WaitTimeoutError(f"SMTP sink on port {self.port} did not stop")

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep one message (called by aiosmtpd, which fixes the name)."""
        if self._refusal is not None:
            return self._refusal
        message = SinkMessage(
            sender="" if envelope.mail_from == "<>" else envelope.mail_from,
            recipients=tuple(envelope.rcpt_tos),
            content=bytes(envelope.original_content),
            mail_options=tuple(envelope.mail_options),
            rcpt_options=tuple(envelope.rcpt_options),
        )
        with self._arrival:
            self.messages.append(message)
            self._arrival.notify_all()
        return "250 2.0.0 kept"

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        server = await self._loop.create_server(self._new_connection, sock=self._listening)
        await self._stop.wait()
        server.close()
        for connection in self._connections:
            if connection.transport is not None:
                connection.transport.abort()
        sessions = asyncio.all_tasks() - {asyncio.current_task()}
        if sessions:
            await asyncio.wait(sessions, timeout=_STOP_SECONDS / 2)

    def _new_connection(self) -> Any:
        self._connections = [c for c in self._connections if c.transport is not None]
        connection = _LongLineSMTP(
            self,
            hostname="sink.example",
            data_size_limit=MESSAGE_LIMIT,
            enable_SMTPUTF8=True,
            loop=self._loop,
        )
        self._connections.append(connection)
        return connection
