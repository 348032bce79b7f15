"""Messages of one HTML part, instrumented with a minter without keys, and checked."""

from __future__ import annotations

from openclick_milter.instrument import (
    Instrumented,
    Limits,
    Request,
    Untouched,
    instrument,
    undo,
)
from unit.second_reader import FakeMinter

Fields = list[tuple[str, str]]

MINTER = FakeMinter()
LIMITS = Limits()
BOTH = Request(opens=True, clicks=True)
OPENS = Request(opens=True, clicks=False)
CLICKS = Request(opens=False, clicks=True)

HTML: Fields = [("From", "a@example.com"), ("Content-Type", "text/html; charset=utf-8")]
QUOTED_PRINTABLE = [*HTML, ("Content-Transfer-Encoding", "quoted-printable")]
BASE64 = [*HTML, ("Content-Transfer-Encoding", "base64")]
LINK = b'<a href="http://example.com/">x</a>'
PAGE = b"<html><body><p>" + LINK + b"</p></body></html>\r\n"


def run(
    fields: Fields, body: bytes, request: Request = BOTH, limits: Limits = LIMITS
) -> Instrumented | Untouched:
    """Instrument a message with the fake minter; check what must hold for every result."""
    result = instrument(fields, body, request, MINTER, limits, lambda: None)
    if isinstance(result, Instrumented):
        assert body != result.body
        assert undo(result.body, result.edits) == body
        assert bytes_outside(body, result) == bytes_outside(result.body, result, edited=True)
        assert [link.link_index for link in result.links] == list(range(len(result.links)))
    else:
        assert result.reason
    return result


def bytes_outside(body: bytes, result: Instrumented, *, edited: bool = False) -> list[bytes]:
    """Return what stands between the edits, in the original or in the edited body."""
    pieces, done, shift = [], 0, 0
    for edit in result.edits:
        start = edit.start + shift
        pieces.append(body[done:start])
        done = start + len(edit.replacement if edited else edit.original)
        shift += (len(edit.replacement) - len(edit.original)) if edited else 0
    return [*pieces, body[done:]]


def done(
    fields: Fields, body: bytes, request: Request = BOTH, limits: Limits = LIMITS
) -> Instrumented:
    """Instrument a message that can be."""
    result = run(fields, body, request, limits)
    assert isinstance(result, Instrumented), result
    return result


def url(index: int, target: str) -> bytes:
    """Return the tracking link for a target."""
    found = MINTER.link_url(index, target)
    assert found
    return found.encode()
