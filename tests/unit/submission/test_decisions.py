"""Whose mail is obeyed, and what is decided before a body is asked for."""

import logging

import pytest

from openclick.messages import Outcome
from openclick_milter.controls import Removal
from openclick_milter.submission import Next
from unit.samples import DOMAIN
from unit.submission.transactions import (
    CONTROL,
    FIELDS,
    LOCAL,
    QUEUE_ID,
    STRANGER,
    Milter,
    Sent,
    lines,
    untouched,
)


def test_a_stranger_is_let_go_at_mail(milter: Milter) -> None:
    """Everything else is accepted at once, as it came."""
    assert (None, Sent()) == milter.send([*FIELDS, CONTROL], client=STRANGER)


def test_local_mail_is_a_submission(milter: Milter) -> None:
    """From sendmail(1) or an app on this machine."""
    assert milter.send(client=LOCAL)[1].body is not None


@pytest.mark.parametrize("name", ["Received", "received"])
def test_local_mail_that_was_received_is_not(milter: Milter, name: str) -> None:
    """A content filter hands back a stranger's mail: not even his control headers are removed."""
    fields = [(name, "from evil by here with ESMTP id 4Xk2Q1y9"), *FIELDS, CONTROL]

    assert (Next.ACCEPT, Sent()) == milter.send(fields, client=LOCAL)
    assert [] == milter.rows()


def test_authenticated_mail_that_was_received_is(milter: Milter) -> None:
    """A mail client may forward what it got."""
    fields = [("Received", "from x by y"), *FIELDS]

    assert milter.send(fields)[1].body is not None


def test_untracked_mail_costs_no_body(milter: Milter, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing to remove, nothing to track: accepted at the end of the headers; a line for debug."""
    caplog.set_level(logging.DEBUG)
    fields = [("From", "a@other.example"), *FIELDS[1:]]

    assert (Next.ACCEPT, Sent()) == milter.send(fields)
    assert [] == milter.rows()
    assert [f"{QUEUE_ID}: not of an added domain domain=other.example"] == lines(caplog)


def test_control_headers_of_an_unknown_domain_go_too(milter: Milter) -> None:
    """From every obeyed submission, tracked or not; the body is not asked for."""
    fields = [("From", "a@other.example"), *FIELDS[1:], CONTROL]

    assert (Next.SKIP_BODY, Sent((Removal(CONTROL[0], 1),))) == milter.send(fields)


def test_switched_off_by_headers(milter: Milter, caplog: pytest.LogCaptureFixture) -> None:
    """A row and a line say why."""
    caplog.set_level(logging.INFO)
    off = [("X-Anypost-Track-Opens", "no"), ("X-Anypost-Track-Clicks", "no")]

    decided, edits = milter.send([*FIELDS, *off])

    assert (Next.SKIP_BODY, 2, None) == (decided, len(edits.removals), edits.body)
    assert [f'{QUEUE_ID}: untouched reason="header says off" domain={DOMAIN}'] == lines(caplog)
    (row,) = milter.rows()
    assert (Outcome.UNTOUCHED, "header says off", "", ()) == (
        row.outcome,
        row.reason,
        row.image_reason,
        row.links,
    )


def test_switched_off_for_two_reasons(milter: Milter) -> None:
    """Both are told."""
    milter.add_domain(domain_id="2", name="quiet.example", opens_enabled=False, clicks_enabled=True)
    fields = [
        ("From", "a@quiet.example"),
        *FIELDS[1:],
        ("X-Anypost-Track-Clicks", "no"),
    ]

    milter.send(fields)

    (row,) = milter.rows()
    assert row.reason == "opens: domain default is off; clicks: header says off"


def test_unverified_domain_leaves_body_alone(milter: Milter) -> None:
    """Until the tracking domain is verified the message leaves byte for byte as it came."""
    milter.add_domain(domain_id="2", name="new.example", verified=False)
    fields = [("From", "a@new.example"), *FIELDS[1:]]

    untouched(milter, "tracking domain track.new.example is not verified", fields=fields)


def test_void_control_header_is_named(milter: Milter, caplog: pytest.LogCaptureFixture) -> None:
    """In one line, queue id first."""
    milter.send([*FIELDS, ("X-Anypost-Track-Opens", "per\nhaps")])

    assert [
        f"{QUEUE_ID}: X-Anypost-Track-Opens: 'per haps' is neither true nor false: ignored"
    ] == [text for text in lines(caplog) if "instrumented" not in text]
