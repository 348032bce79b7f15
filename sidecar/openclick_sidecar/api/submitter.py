"""Hands messages to Postfix over SMTP, by smtplib in a small pool of threads.

Called by `sending`.  Twisted's own sender knows neither SMTPUTF8 nor 8BITMIME, and takes 44 ms a
message on loopback.  Connections are kept and used again.

Promises: a message is taken for all of its recipients or for none; whatever Postfix or the network
does, it ends as a queue id, as Refused (for good, by its words) or as Unavailable (later perhaps);
"in doubt" is told apart: there the message may have been taken.
"""

from __future__ import annotations

import re
import smtplib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from openclick.option_kinds import HostPort

T = TypeVar("T")

SESSIONS = 10
_QUEUED_AS = re.compile(r"queued as ([A-Za-z0-9]+)")
_CLOSING = 421
"""Postfix is about to close the connection (RFC 5321, 3.8)."""


class Refused(Exception):
    """Postfix will not take the message, now or later; `recipient` where it is about one."""

    def __init__(self, text: str, recipient: str | None = None) -> None:
        super().__init__(text)
        self.recipient = recipient


class Unavailable(Exception):
    """Postfix cannot be reached, or says to come again; `in_doubt`: it may have the message."""

    def __init__(self, text: str, *, in_doubt: bool = False) -> None:
        super().__init__(text)
        self.in_doubt = in_doubt


@dataclass(frozen=True)
class Parcel:
    """One message with its envelope."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    is_international: bool


@dataclass
class Submitter:
    """The pool; `hello` is this machine's name in EHLO."""

    reactor: Any
    peer: HostPort
    hello: str
    timeout_seconds: float
    _idle: list[smtplib.SMTP] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._pool = ThreadPool(0, SESSIONS, "api-smtp")

    def start(self) -> None:
        """Let threads begin when they are first needed."""
        self._pool.start()

    def stop(self) -> None:
        """Finish what is under way, close the connections; blocks until then."""
        self._pool.stop()
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """Run something long in one of the threads."""
        deferred: Deferred[T] = deferToThreadPool(self.reactor, self._pool, work)
        return deferred

    def submit(self, parcel: Parcel) -> str:
        """Hand a message over, in the calling thread; return its queue id, empty if unsaid.

        Raises Refused, Unavailable.
        """
        kept = self._take()
        if kept is not None:
            try:
                return self._attempt(kept, parcel)
            except _Stale:
                pass  # Postfix has closed it meanwhile, before it heard of this message
        try:
            return self._attempt(self._connect(), parcel)
        except _Stale as error:
            raise Unavailable(f"Postfix closes the connection: {error}") from error

    def _attempt(self, connection: smtplib.SMTP, parcel: Parcel) -> str:
        try:
            queue_id = _deliver(connection, parcel)
        except (Refused, _Later) as error:
            self._keep_after_reset(connection)
            raise Unavailable(str(error)) if isinstance(error, _Later) else error from None
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return queue_id

    def _connect(self) -> smtplib.SMTP:
        where = f"Postfix ({self.peer})"
        try:
            connection = smtplib.SMTP(
                self.peer.host, self.peer.port, self.hello, self.timeout_seconds
            )
        except (OSError, smtplib.SMTPException) as error:
            raise Unavailable(f"{where} cannot be reached: {error}") from error
        try:
            connection.ehlo_or_helo_if_needed()
        except (OSError, smtplib.SMTPException) as error:
            connection.close()
            raise Unavailable(f"{where} does not greet: {error}") from error
        return connection

    def _take(self) -> smtplib.SMTP | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _keep(self, connection: smtplib.SMTP) -> None:
        with self._lock:
            self._idle.append(connection)

    def _keep_after_reset(self, connection: smtplib.SMTP) -> None:
        try:
            connection.rset()
        except (OSError, smtplib.SMTPException):
            connection.close()
            return
        self._keep(connection)


class _Stale(Exception):
    """The connection ended before Postfix had heard of the message."""


class _Later(Exception):
    """Postfix answers 4xx."""


def _deliver(connection: smtplib.SMTP, parcel: Parcel) -> str:
    options = _mail_options(connection, parcel)
    try:
        reply = connection.mail(parcel.sender, options)
    except (OSError, smtplib.SMTPServerDisconnected) as error:
        raise _Stale(str(error)) from error
    if reply[0] == _CLOSING:
        # Often said long before MAIL, to a connection that was idle for too long.
        raise _Stale(_told(reply))
    _check(reply)
    try:
        for recipient in parcel.recipients:
            _check(connection.rcpt(recipient), recipient)
    except (OSError, smtplib.SMTPException) as error:
        raise Unavailable(f"Postfix ended the session: {error}") from error
    return _data(connection, parcel.content)


def _data(connection: smtplib.SMTP, content: bytes) -> str:
    try:
        reply: tuple[int, bytes | str] = connection.data(content)
    except smtplib.SMTPDataError as error:  # DATA itself was refused: nothing was sent
        reply = error.smtp_code, error.smtp_error
    except (OSError, smtplib.SMTPException) as error:
        raise Unavailable(
            f"Postfix ended the session inside the message: {error}", in_doubt=True
        ) from error
    found = _QUEUED_AS.search(_check(reply))
    return found[1] if found else ""


def _mail_options(connection: smtplib.SMTP, parcel: Parcel) -> list[str]:
    options = [f"SIZE={len(parcel.content)}"] if connection.has_extn("size") else []
    if parcel.is_international:
        if not connection.has_extn("smtputf8"):
            raise Refused("Postfix does not take international addresses (no SMTPUTF8)")
        # smtplib encodes its commands by this.
        connection.command_encoding = "utf-8"
        return [*options, "SMTPUTF8", "BODY=8BITMIME"]
    connection.command_encoding = "ascii"
    return options


def _check(reply: tuple[int, bytes | str], recipient: str | None = None) -> str:
    """Return the text of a 2xx reply.  Raises Refused, _Later."""
    code = reply[0]
    if 200 <= code < 300:
        return _text(reply)
    if 500 <= code < 600:
        raise Refused(_told(reply), recipient)
    raise _Later(_told(reply))


def _told(reply: tuple[int, bytes | str]) -> str:
    return f"Postfix says {reply[0]} {_text(reply)}"


def _text(reply: tuple[int, bytes | str]) -> str:
    said = reply[1].decode("utf-8", "replace") if isinstance(reply[1], bytes) else reply[1]
    return " ".join(said.split())
