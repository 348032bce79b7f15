"""What Postfix calls: one short method an event, and the loop that runs them.

The only importer of Milter.  Each method asks the submission and translates its answer into a
milter status.  Promises: no callback ever raises or answers anything but CONTINUE, SKIP or ACCEPT:
for a fault of ours the mail goes out as it came.  But for one inside the burst of edits at the end
of the message: Postfix holds half of a body by then, and is told to have the mail sent again.

Limits: a process killed inside the burst leaves Postfix with that half (DESIGN 3.10); so nothing
that can fail stands there but memory for the next piece of a long body.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import Milter

from openclick.logs import line
from openclick_milter import envelope
from openclick_milter.gate import Gate
from openclick_milter.reasons import Reason
from openclick_milter.submission import Edits, Next, Submission, World
from openclick_milter.trust import Client

log = logging.getLogger(__name__)

_NAME = "openclick"
_REMOVE = ""

F = TypeVar("F", bound=Callable[..., Any])


def _no_reply(callback: F) -> F:
    """Negotiate away Postfix's wait for an answer to this event; typed for mypy."""
    wrapped: F = Milter.noreply(callback)
    return wrapped


class CannotListen(Exception):
    """The milter's socket cannot be opened; the message says which and why."""


class OpenClickMilter(Milter.Base):  # type: ignore[misc]  # pymilter has no type information
    """One connection from Postfix; messages come one after another."""

    def __init__(self, current_world: Callable[[], World], gate: Gate) -> None:
        super().__init__()
        self._current_world = current_world
        self._gate = gate
        self._ip = ""
        self._submission: Submission | None = None
        self._wants_body = False

    @_no_reply
    def connect(self, _name: str, _family: int, address: Any) -> int:
        """Keep the client's address; sendmail(1) comes as 127.0.0.1, port 0."""
        self._ip = address[0] if isinstance(address, tuple) else ""
        world = self._current_world()
        world.counters.connected(world.now())
        return int(Milter.CONTINUE)

    def envfrom(self, sender: str, *parameters: str) -> int:
        """Begin a message; let go at once of mail that cannot be a submission."""
        client = Client(self._ip, self._macro("{auth_authen}"), self._macro("{daemon_name}"))
        submission = Submission(
            self._current_world(),
            client,
            envelope.bare_address(sender),
            envelope.esmtp_parameter(parameters, "ENVID"),
        )
        if submission.is_foreign():
            submission.world.counters.add("foreign")
            self._submission = None
            return int(Milter.ACCEPT)
        self._submission = submission
        return int(Milter.CONTINUE)

    @_no_reply
    def envrcpt(self, recipient: str, *_parameters: str) -> int:
        """Keep a recipient."""
        if self._submission is not None:
            self._submission.recipients.append(envelope.bare_address(recipient))
        return int(Milter.CONTINUE)

    @_no_reply
    def header(self, name: str, value: str) -> int:
        """Keep a header field."""
        if self._submission is not None:
            self._submission.fields.append((name, value))
        return int(Milter.CONTINUE)

    def eoh(self) -> int:
        """Decide."""
        if self._submission is None:
            return int(Milter.ACCEPT)
        verdict = self._submission.end_of_headers(self._macro("i"))
        if verdict is Next.ACCEPT:
            self._submission = None
            return int(Milter.ACCEPT)
        self._wants_body = verdict is Next.READ_BODY
        return int(Milter.CONTINUE)

    def body(self, chunk: bytes) -> int:
        """Keep a piece of the body, or ask for no more of it."""
        if self._submission is None or not self._wants_body:
            return int(Milter.SKIP)
        self._submission.add_chunk(chunk)
        return int(Milter.CONTINUE)

    def eom(self) -> int:
        """Instrument and record; then, last of all, send the edits in one burst."""
        submission, self._submission = self._submission, None
        if submission is None:
            return int(Milter.ACCEPT)
        queue_id = self._macro("i")
        with self._gate.passing() as let_in:
            if not let_in:
                submission.leave(queue_id, Reason.ENDING)
                return int(Milter.ACCEPT)
            return self._send(queue_id, submission.end_of_message(queue_id))

    def _send(self, queue_id: str, edits: Edits) -> int:
        """Send the edits; return the milter status that ends the message."""
        replacing = False
        try:
            for removal in edits.removals:
                self.chgheader(removal.name, removal.occurrence, _REMOVE)
            for piece in edits.body or ():
                self.replacebody(piece)
                replacing = True
        except Exception:
            log.exception(line(queue_id, "internal error in the edits", sent_again=replacing))
            # Accepted with a piece of the new body, the mail would be delivered cut short.
            return int(Milter.TEMPFAIL if replacing else Milter.ACCEPT)
        return int(Milter.ACCEPT)

    def abort(self) -> int:
        """Forget the message: RSET, or a client that went away."""
        self._submission = None
        return int(Milter.CONTINUE)

    def close(self) -> int:
        """Forget the connection."""
        self._submission = None
        return int(Milter.CONTINUE)

    def _macro(self, name: str) -> str:
        """Return a macro's value, empty where Postfix sent none or one that is not UTF-8."""
        try:
            return self.getsymval(name) or ""
        except UnicodeDecodeError:
            log.warning(line("milter", "macro is not UTF-8: taken as absent", macro=name))
            return ""


def open_socket(socket: str, current_world: Callable[[], World], gate: Gate) -> None:
    """Register the callbacks and open the socket that Postfix talks to.

    `socket` is "unix:PATH" or "inet:PORT@ADDRESS".  A stale socket file is replaced; each message
    lives in the world that `current_world` returns at its beginning, and is changed only inside
    `gate`.  Raises CannotListen.
    """
    Milter.factory = lambda: OpenClickMilter(current_world, gate)
    Milter.set_flags(Milter.CHGBODY + Milter.CHGHDRS)
    # Should an exception pass us all the same, the mail goes out rather than bounce.
    Milter.set_exception_policy(Milter.ACCEPT)
    _register()
    try:
        Milter.setconn(socket)
        Milter.opensocket(True)
    except (Milter.error, OSError) as error:
        raise CannotListen(f"cannot listen: {error}") from error


def serve() -> None:
    """Answer Postfix until the process ends: libmilter's loop, for a thread of its own."""
    Milter.main()


def open_sessions() -> int:
    """Return how many connections from Postfix are open."""
    created, deleted = Milter.getdiag()
    return int(created - deleted)


def _register() -> None:
    """Hand libmilter its callbacks: what Milter.runmilter does before it opens the socket."""
    Milter.set_connect_callback(Milter.connect_callback)
    Milter.set_envfrom_callback(lambda ctx, *args: ctx.getpriv().envfrom_bytes(*args))
    Milter.set_envrcpt_callback(lambda ctx, *args: ctx.getpriv().envrcpt_bytes(*args))
    Milter.set_header_callback(lambda ctx, name, value: ctx.getpriv().header_bytes(name, value))
    Milter.set_eoh_callback(lambda ctx: ctx.getpriv().eoh())
    Milter.set_body_callback(lambda ctx, chunk: ctx.getpriv().body(chunk))
    Milter.set_eom_callback(lambda ctx: ctx.getpriv().eom())
    Milter.set_abort_callback(lambda ctx: ctx.getpriv().abort())
    Milter.set_close_callback(Milter.close_callback)
    Milter.register(_NAME, negotiate=Milter.negotiate_callback)
