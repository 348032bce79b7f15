"""What is too ambiguous, or too much, to be taken for parts."""

from __future__ import annotations

import re

import pytest

from openclick_milter.parts import Limits, find_parts
from openclick_milter.reasons import Reason, Unreadable
from unit.parts.listed_parts import HTML_PART, LIMITS, MIXED, contents


@pytest.mark.parametrize(
    ("fields", "body", "reason"),
    [
        (MIXED * 2, b"--b\r\n\r\n--b--", Reason.DUPLICATE_HEADER),
        (
            MIXED,
            b"--b\r\nContent-Type: a/b\r\ncontent-type: a/b\r\n\r\n--b--",
            Reason.DUPLICATE_HEADER,
        ),
        ([("Content-Type", "multipart/mixed")], b"--b\r\n\r\n--b--", Reason.NO_BOUNDARY),
        ([("Content-Type", "multipart/mixed; boundary=")], b"--\r\n\r\n----", Reason.NO_BOUNDARY),
        (
            [("Content-Type", "multipart/mixed; boundary=b; boundary=c")],
            b"",
            Reason.DUPLICATE_PARAMETER,
        ),
        ([("Content-Type", "multipart/mixed (x); boundary=b")], b"", Reason.BAD_CONTENT_TYPE),
        ([("Content-Type", "multipart; boundary=b")], b"", Reason.BAD_CONTENT_TYPE),
        (
            [("Content-Type", "multipart/mixed; boundary=" + "b" * 1024)],
            b"",
            Reason.HEADER_TOO_LONG,
        ),
        (MIXED, b"", Reason.NO_FIRST_BOUNDARY),
        (MIXED, b"--bb\r\n\r\n", Reason.NO_FIRST_BOUNDARY),
        (MIXED, b"--b--\r\n", Reason.NO_FIRST_BOUNDARY),
        (MIXED, b"--b\r\n\r\nx\r\n", Reason.NO_END_BOUNDARY),
        (MIXED, b"--b\r\n\r\nx\r\n--b\r\n\r\ny\r\n--bb--", Reason.NO_END_BOUNDARY),
        (MIXED, b"--b\r\n--b--", Reason.NO_PART_BETWEEN),
        (MIXED, b"--b\r\n\r\nx\r\n--b\r\n--b\r\n\r\n--b--", Reason.NO_PART_BETWEEN),
        (MIXED, b"--b\r\n\r\nx\r--b\r\n\r\n--b--", Reason.BARE_CR_BOUNDARY),
        (MIXED, b"--b\r\rx\r\n--b--", Reason.BARE_CR_BOUNDARY),
        (MIXED, b"--b\r\n\r\nx\r\n--b--\r\ny\r--b\r\n", Reason.BARE_CR_BOUNDARY),
        (
            [*MIXED, ("Content-Transfer-Encoding", "base64")],
            b"--b\r\n\r\n--b--",
            Reason.ENCODED_MULTIPART,
        ),
        (MIXED, b"--b\r\nno header field\r\n\r\n--b--", Reason.BAD_PART_HEADER),
        (MIXED, b"--b\r\n continued\r\n\r\n--b--", Reason.BAD_PART_HEADER),
        (MIXED, b"--b\r\nX: y\rContent-Type: text/html\r\n\r\n--b--", Reason.BAD_PART_HEADER),
    ],
)
def test_ambiguous_structure(fields: list[tuple[str, str]], body: bytes, reason: Reason) -> None:
    """A structure that readers could see differently is refused, with the reason."""
    with pytest.raises(Unreadable, match=re.escape(reason)):
        find_parts(fields, body, LIMITS)


def test_garbage_on_a_leaf_spoils_nothing() -> None:
    """The transfer encoding of an attachment is not our business: its range is sure."""
    body = b"--b\r\nContent-Transfer-Encoding: hexa\r\n\r\nx\r\n" + HTML_PART + b"--b--"

    assert [b"x", b"<p>"] == [content for _, content in contents(MIXED, body)]


def nested(depth: int) -> bytes:
    """Return the body of a multipart with boundary b0 that nests to `depth`."""
    body = b"x"
    for level in reversed(range(depth)):
        kind = b"" if level == depth - 1 else b"Content-Type: multipart/mixed; boundary=b%d\r\n"
        header = kind % (level + 1) if kind else b""
        body = b"--b%d\r\n%b\r\n%b\r\n--b%d--" % (level, header, body, level)
    return body


def test_depth() -> None:
    """Parts nested deeper than the bound are refused, at the bound they are not."""
    fields = [("Content-Type", "multipart/mixed; boundary=b0")]

    assert len(find_parts(fields, nested(30), LIMITS)) == 31
    with pytest.raises(Unreadable, match=Reason.TOO_DEEP):
        find_parts(fields, nested(31), LIMITS)


def test_part_count() -> None:
    """More parts than the bound are refused, at the bound they are not."""
    enough = b"--b\r\n\r\nx\r\n" * 999 + b"--b--"

    assert len(find_parts(MIXED, enough, LIMITS)) == 1000
    with pytest.raises(Unreadable, match=Reason.TOO_MANY_PARTS):
        find_parts(MIXED, b"--b\r\n\r\nx\r\n" + enough, LIMITS)


def test_header_size() -> None:
    """A part's header beyond the bound is refused, at the bound it is not."""
    field = b"X-A: " + b"y" * 93 + b"\r\n"
    limits = Limits(max_header_bytes=1000)

    find_parts(MIXED, b"--b\r\n" + field * 9 + b"\r\nx\r\n--b--", limits)
    with pytest.raises(Unreadable, match=Reason.HEADER_TOO_LONG):
        find_parts(MIXED, b"--b\r\n" + field * 11 + b"\r\nx\r\n--b--", limits)


def test_checkpoint_passes_through() -> None:
    """A deadline can stop the walk between parts."""

    def too_late() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        find_parts(MIXED, HTML_PART + b"--b--", LIMITS, too_late)
