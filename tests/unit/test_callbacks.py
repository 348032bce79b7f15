"""What Postfix is told to send and to wait for (DESIGN 3.11)."""

import logging
from collections.abc import Iterator

import Milter
import pytest

from openclick_milter.callbacks import OpenClickMilter
from openclick_milter.gate import Gate
from openclick_milter.reasons import Reason
from openclick_milter.submission import Edits, Submission


def asked_for() -> int:
    """Return what is asked of a Postfix that offers everything (pymilter's mask is inverted)."""
    return ~int(OpenClickMilter.protocol_mask())


def test_stages_that_are_not_needed_are_negotiated_away() -> None:
    """HELO, DATA and unknown commands cost no round trip; all others are wanted."""
    flags = asked_for()

    unneeded = Milter.P_NOHELO | Milter.P_NODATA | Milter.P_NOUNKNOWN
    needed = (
        Milter.P_NOCONNECT
        | Milter.P_NOMAIL
        | Milter.P_NORCPT
        | Milter.P_NOHDRS
        | Milter.P_NOEOH
        | Milter.P_NOBODY
    )
    assert unneeded == flags & unneeded
    assert 0 == flags & needed


def test_postfix_does_not_wait_where_there_is_nothing_to_say() -> None:
    """A round trip for each header field would cost a tenth of the rate."""
    flags = asked_for()

    silent = Milter.P_NR_CONN | Milter.P_NR_RCPT | Milter.P_NR_HDR
    answering = Milter.P_NR_MAIL | Milter.P_NR_EOH | Milter.P_NR_BODY
    assert silent == flags & silent
    assert 0 == flags & answering


def test_macro_that_is_not_utf_8_counts_as_absent(caplog: pytest.LogCaptureFixture) -> None:
    """pymilter decodes strictly, and an exception must not decide what becomes of the mail."""

    class FromAnotherMta(OpenClickMilter):
        def getsymval(self, _name: str) -> str:
            return b"caf\xe9".decode()

    caplog.set_level(logging.WARNING)

    login = FromAnotherMta(lambda: pytest.fail("no world is needed"), Gate())._macro(
        "{auth_authen}"
    )

    assert "" == login
    assert ["milter: macro is not UTF-8: taken as absent macro={auth_authen}"] == caplog.messages


class Known(Submission):
    """A message whose body is to become what `pieces` yield."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        """Need no world."""
        self.pieces = pieces
        self.left: list[str] = []

    def end_of_message(self, _queue_id: str) -> Edits:
        return Edits(body=self.pieces)

    def leave(self, _queue_id: str, reason: str) -> None:
        self.left.append(reason)


class Burst(OpenClickMilter):
    """A milter at the end of such a message, which keeps what it sends."""

    def __init__(self, submission: Known, gate: Gate) -> None:
        super().__init__(lambda: pytest.fail("no world is needed"), gate)
        self._submission = submission
        self.sent: list[bytes] = []

    def getsymval(self, _name: str) -> str:
        return "4Xk2Q1z0"

    def replacebody(self, body: bytes) -> None:
        self.sent.append(body)


def cut_off(pieces: list[bytes]) -> tuple[int, list[bytes]]:
    """Return the reply to a body of `pieces` with a fault behind them, and what Postfix got."""

    def body() -> Iterator[bytes]:
        yield from pieces
        raise MemoryError

    gate = Gate()
    milter = Burst(Known(body()), gate)
    reply = milter.eom()
    assert gate.close(0)
    return reply, milter.sent


def test_fault_inside_the_replacement(caplog: pytest.LogCaptureFixture) -> None:
    """Postfix holds a piece of the new body: accepted, the mail would be delivered cut short."""
    assert (Milter.TEMPFAIL, [b"<html>"]) == cut_off([b"<html>"])
    assert ["4Xk2Q1z0: internal error in the edits sent_again=yes"] == caplog.messages


def test_fault_before_the_replacement(caplog: pytest.LogCaptureFixture) -> None:
    """The body is still the old one, so the mail goes out."""
    assert (Milter.ACCEPT, []) == cut_off([])
    assert ["4Xk2Q1z0: internal error in the edits sent_again=no"] == caplog.messages


def test_nothing_is_edited_behind_a_closed_gate() -> None:
    """The process is about to end: the mail goes out as it came, and its row says why."""
    submission, gate = Known(iter([b"<html>"])), Gate()
    gate.close(0)
    milter = Burst(submission, gate)

    assert Milter.ACCEPT == milter.eom()
    assert ([], [Reason.ENDING]) == (milter.sent, submission.left)
