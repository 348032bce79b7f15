"""What Postfix is told to send and to wait for (DESIGN 3.11)."""

import logging

import Milter
import pytest

from openclick_milter.callbacks import OpenClickMilter
from openclick_milter.gate import Gate


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
