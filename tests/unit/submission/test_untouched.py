"""What a mail holds that leaves it, or a part of it, as it came."""

import logging

import pytest

from openclick.messages import Outcome
from openclick_milter.controls import Removal
from openclick_milter.submission import Next
from unit.submission.transactions import (
    CONTROL,
    FIELDS,
    HTML,
    QUEUE_ID,
    Milter,
    Sent,
    lines,
    untouched,
)


def test_text_only_mail(milter: Milter) -> None:
    """There is nothing to instrument."""
    fields = [*FIELDS[:5], ("Content-Type", "text/plain")]

    untouched(milter, "no HTML part", fields=fields, body=b"plain\r\n")


def test_signed_mail_keeps_its_signed_control_headers(milter: Milter) -> None:
    """An existing DKIM signature stays valid."""
    signature = ("DKIM-Signature", "v=1; h=from:x-anypost-tags; b=x")
    fields = [signature, *FIELDS, ("X-Anypost-Tags", "a"), CONTROL]

    _, edits = milter.send(fields)

    assert Sent((Removal(CONTROL[0], 1),)) == edits
    assert ["already DKIM-signed"] == [row.reason for row in milter.rows()]


def test_signed_mail_is_instrumented_where_the_setting_says_so(milter: Milter) -> None:
    """A later signer replaces the signature; the body is read and edited."""
    milter.configure(instrument_signed=True)

    decided, edits = milter.send([("DKIM-Signature", "v=1; h=from; b=x"), *FIELDS])

    assert Next.READ_BODY is decided
    assert edits.body is not None
    assert [Outcome.INSTRUMENTED] == [row.outcome for row in milter.rows()]


def test_a_header_beyond_the_bound(milter: Milter) -> None:
    """The body is not even read."""
    fields = [*FIELDS, *[("X-Filler", "x" * 90_000)] * 5]

    decided, _ = milter.send(fields)

    assert Next.ACCEPT is decided
    assert ["header too long"] == [row.reason for row in milter.rows()]


def test_mail_that_is_too_large(milter: Milter) -> None:
    """Beyond the bound only the size is kept, and the message passes."""
    milter.configure(max_message_bytes=10_000)

    untouched(milter, "message too large", body=HTML + b"x" * 20_000)


def test_mail_that_is_too_large_by_a_chunk_that_was_not_kept(milter: Milter) -> None:
    """What was kept looks like a whole message, and is not: nothing of it is sent back."""
    milter.configure(max_message_bytes=10_000)
    submission = milter.submission(FIELDS)
    submission.end_of_headers(QUEUE_ID)

    for chunk in (HTML, b"x" * 20_000, HTML):
        submission.add_chunk(chunk)

    assert submission.end_of_message(QUEUE_ID).body is None
    assert ["message too large"] == [row.reason for row in milter.rows()]


def test_mail_that_would_grow_too_large(milter: Milter) -> None:
    """Postfix would refuse it for good: the milter stays below the limit."""
    milter.configure(max_message_bytes=10_000)
    links = b"".join(b'<a href="https://a.example/%d">x</a>\r\n' % n for n in range(150))

    untouched(milter, ".*past the size limit", body=b"<body>" + links + b"</body>")


def test_part_that_is_left(milter: Milter, caplog: pytest.LogCaptureFixture) -> None:
    """Log line and row of an instrumented message say why a part of it stayed; it is counted."""
    caplog.set_level(logging.INFO)
    fields = [FIELDS[0], ("Content-Type", "multipart/mixed; boundary=b")]
    part = b"--b\r\nContent-Type: text/html\r\n%b\r\n" + HTML + b"\r\n"
    odd = b"Content-Transfer-Encoding: hexa\r\n"

    _, edits = milter.send(fields, part % b"" + part % odd + b"--b--\r\n")

    assert edits.body is not None
    assert 'parts_left="unknown transfer encoding"' in lines(caplog)[0]
    assert 1 == milter.counters.snapshot()["parts_left"]
    assert [(Outcome.INSTRUMENTED, "part 2 left: unknown transfer encoding")] == [
        (row.outcome, row.reason) for row in milter.rows()
    ]
