"""Replaces ranges of a part's decoded content by editing its encoded bytes.

Called by `instrument`, which finds links in decoded bytes and sends encoded ones.  Promises: the
decoded content of the result is the decoded content of the original with just those ranges
replaced; in quoted-printable only the replaced ranges change, soft breaks beside them apart, and no
line grows past 76 bytes (one that was longer does not grow); base64 keeps its line length and its
ending; `undo(apply(body, edits), edits)` is the body.

Source: RFC 2045, 6.7 and 6.8.  What `binascii` would decode only by guessing (`=` before anything
but two hexadecimal digits or a line end, stray characters in base64) is refused.

Limits: blanks at the end of a quoted-printable line count as content, as in Python's `email`.
Replacements are printable ASCII that does not end in a blank.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from typing import NamedTuple

from openclick_milter.reasons import Reason, UnreadablePart

_QUOTED_PRINTABLE_WIDTH = 76
_BASE64_WIDTH = 76
_LONGEST_LINE = 998

IDENTITY = ("", "7bit", "8bit", "binary")
"""The transfer encodings that leave content as it is; "" where none is declared."""


class Change(NamedTuple):
    """The decoded bytes from `start` to `end` become `new`."""

    start: int
    end: int
    new: bytes


class Edit(NamedTuple):
    """One replaced range of the original body: `original` at `start` became `replacement`."""

    start: int
    original: bytes
    replacement: bytes


def decode(raw: bytes, encoding: str) -> bytes:
    """Decode the content of a part by its transfer encoding.  Raises UnreadablePart."""
    if encoding in IDENTITY:
        return raw
    if encoding == "quoted-printable":
        return _decode_quoted_printable(raw)
    if encoding == "base64":
        return _decode_base64(raw)
    raise UnreadablePart(Reason.UNKNOWN_ENCODING)


def decode_unchecked(raw: bytes, encoding: str) -> bytes:
    """Decode as `decode` does, but let illegal quoted-printable pass, which `splice` will refuse.

    To look for it costs as much as to decode, and `splice` comes across it anyway.
    """
    if encoding == "quoted-printable":
        return binascii.a2b_qp(_without_last_soft_break(raw))
    return decode(raw, encoding)


def splice(
    raw: bytes,
    content: bytes,
    encoding: str,
    changes: Sequence[Change],
    offset: int,
    newline: bytes,
) -> list[Edit]:
    """Return the edits that bring `changes`, in order and without overlap, into a part.

    `content` is what `decode_unchecked` made of `raw`, which stands at `offset` in the body.
    `newline` is the body's line end.  Raises UnreadablePart for illegal quoted-printable.
    """
    if encoding == "quoted-printable":
        return _splice_quoted_printable(raw, content, changes, offset, newline)
    if not changes:
        return []
    if encoding == "base64":
        return [_splice_base64(raw, content, changes, offset, newline)]
    return [Edit(offset + c.start, raw[c.start : c.end], c.new) for c in changes]


def apply(body: bytes, edits: Sequence[Edit]) -> bytes:
    """Make `edits`, which are in order and do not overlap, in the original `body`.

    Through a view, so that a large attachment is copied once and not twice.
    """
    view = memoryview(body)
    pieces: list[bytes | memoryview] = []
    done = 0
    for edit in edits:
        pieces += view[done : edit.start], edit.replacement
        done = edit.start + len(edit.original)
    return b"".join((*pieces, view[done:]))


def undo(body: bytes, edits: Sequence[Edit]) -> bytes:
    """Return the body that `apply` made this one from."""
    shift, back = 0, []
    for edit in edits:
        back.append(Edit(edit.start + shift, edit.replacement, edit.original))
        shift += len(edit.replacement) - len(edit.original)
    return apply(body, back)


class LineRoom:
    """Watches the line length of a part that is not encoded, replacement by replacement."""

    def __init__(self, raw: bytes, line_bytes: int) -> None:
        self._raw = raw
        self._line_bytes = line_bytes
        self._length = 0  # of the line being written
        self._content_end = 0  # where its original ends, in `raw`, without and with the CR
        self._line_end = -1

    def take(self, start: int, end: int, length: int) -> bool:
        """Tell whether `length` bytes fit in place of `start` to `end`, and count them if so.

        Calls come in the order of the text.  What makes an existing line no longer always fits.
        """
        self._enter(start, end)
        growth = length - (end - start)
        new_line = growth > 0 or self._raw.find(b"\n", start, end) >= 0
        if new_line and self._length + growth > self._line_bytes:
            return False
        self._length += growth
        return True

    def _enter(self, start: int, end: int) -> None:
        """Measure the line that `start` stands on, and those that the range joins to it."""
        raw = self._raw
        if start > self._line_end:
            self._content_end = raw.rfind(b"\n", max(self._line_end, 0), start) + 1
            self._length = 0
        elif end <= self._line_end:
            return
        found = raw.find(b"\n", end)
        self._line_end = len(raw) if found < 0 else found
        content_end = self._line_end - raw.endswith(b"\r", end, self._line_end)
        self._length += content_end - self._content_end
        self._content_end = content_end


def _decode_quoted_printable(raw: bytes) -> bytes:
    decoded = binascii.a2b_qp(_without_last_soft_break(raw))
    _refuse_illegal(raw, decoded, raw.count(b"="), raw.count(b"=\r\n"))
    return decoded


def _without_last_soft_break(raw: bytes) -> bytes:
    """Return `raw` without a "=" at its very end, which `binascii` would let stand."""
    return raw[:-1] if raw.endswith(b"=") else raw


def _refuse_illegal(raw: bytes, content: bytes, escapes: int, soft_breaks: int) -> None:
    """Raise UnreadablePart where `raw` holds what is not legal, by arithmetic.

    A legal escape always takes 2 bytes away, a soft break 3 (2 before a bare LF), and `binascii`
    lets an illegal one stand.
    """
    expected = len(raw) - 2 * escapes - soft_breaks + raw.endswith(b"=")
    if len(content) != expected or raw.count(b"=\r") != soft_breaks:
        raise UnreadablePart(Reason.BAD_QUOTED_PRINTABLE)


def _splice_quoted_printable(
    raw: bytes, content: bytes, changes: Sequence[Change], offset: int, newline: bytes
) -> list[Edit]:
    edits = []
    encoded = decoded = column = 0  # how far we are: in `raw`, in its content, in the line written
    escapes = soft_breaks = 0  # how many we have come across
    for change in changes:
        start, more, soft = _encoded_offset(raw, encoded, change.start - decoded)
        escapes, soft_breaks = escapes + more, soft_breaks + soft
        end, more, soft = _encoded_offset(raw, start, change.end - change.start)
        escapes, soft_breaks = escapes + more, soft_breaks + soft
        line_start = raw.rfind(b"\n", encoded, start) + 1
        column = start - line_start if line_start else column + start - encoded
        text = change.new.replace(b"=", b"=3D")
        if column >= _QUOTED_PRINTABLE_WIDTH:
            # No room even for a soft break: it goes before the last character of the line.
            width = _last_unit(raw, encoded, start)
            start, column, text = start - width, column - width, raw[start - width : start] + text
        replacement, column = _fold(text, column, newline)
        if _tail(raw, end) + column > _QUOTED_PRINTABLE_WIDTH:
            replacement, column = replacement + b"=" + newline, 0
        edits.append(Edit(offset + start, raw[start:end], replacement))
        encoded, decoded = end, change.end
    escapes += raw.count(b"=", encoded)
    soft_breaks += raw.count(b"=\r\n", encoded)
    _refuse_illegal(raw, content, escapes, soft_breaks)
    return edits


def _encoded_offset(raw: bytes, position: int, distance: int) -> tuple[int, int, int]:
    """Return the first place in quoted-printable `raw` that is `distance` decoded bytes after
    `position`, and how many escapes ("=") and soft breaks lie between.

    Each escape on the way moves the place on, which may bring in more escapes: their number shrinks
    from round to round, so this takes a few counts over the text and no loop over its characters.
    """
    target = position + distance
    escapes = soft_breaks = 0
    while more := raw.count(b"=", position, target):
        soft = raw.count(b"=\r\n", position, target + 2)
        position, target = target, target + 2 * more + soft
        escapes, soft_breaks = escapes + more, soft_breaks + soft
    return target, escapes, soft_breaks


def _last_unit(raw: bytes, start: int, end: int) -> int:
    """Return the length of the character or escape that ends at `end`."""
    return 3 if raw.startswith(b"=", max(start, end - 3), end) else 1


def _fold(text: bytes, column: int, newline: bytes) -> tuple[bytes, int]:
    """Break encoded `text`, which begins at `column`, with soft breaks; return it and its column.

    A column is kept free for a soft break after it, and no escape is split.
    """
    room = _QUOTED_PRINTABLE_WIDTH - 1
    if column + len(text) <= room:
        return text, column + len(text)
    pieces = []
    if b"=" not in text:
        cut = max(0, room - column)
        pieces = [text[:cut], *[text[at : at + room] for at in range(cut, len(text), room)]]
        return (b"=" + newline).join(pieces), len(pieces[-1])
    while column + len(text) > room:
        cut = max(0, room - column)
        escape = text.rfind(b"=", max(0, cut - 2), cut)
        cut = cut if escape < 0 else escape
        pieces.append(text[:cut] + b"=" + newline)
        text, column = text[cut:], 0
    return b"".join((*pieces, text)), column + len(text)


def _tail(raw: bytes, position: int) -> int:
    """Return the length of what stands after `position` on its line, or one that no line has room
    for: a line that ends far away, or never, is not searched again for each change on it."""
    end = raw.find(b"\n", position, position + _LONGEST_LINE)
    if end < 0:
        return min(len(raw) - position, _LONGEST_LINE)
    return end - position - raw.endswith(b"\r", position, end)


def _decode_base64(raw: bytes) -> bytes:
    try:
        return binascii.a2b_base64(raw.translate(None, b"\r\n"), strict_mode=True)
    except binascii.Error as error:
        raise UnreadablePart(Reason.BAD_BASE64) from error


def _splice_base64(
    raw: bytes, content: bytes, changes: Sequence[Change], offset: int, newline: bytes
) -> Edit:
    """Encode the whole part anew: behind the first change every character shifts anyway."""
    before = len(raw) - len(raw.lstrip(b"\r\n"))
    text = raw.strip(b"\r\n")
    new = apply(content, [Edit(c.start, content[c.start : c.end], c.new) for c in changes])
    encoded = binascii.b2a_base64(new, newline=False)
    width = _base64_width(text)
    lines = [encoded[at : at + width] for at in range(0, len(encoded), width)]
    return Edit(offset + before, text, newline.join(lines))


def _base64_width(text: bytes) -> int:
    """Return the length of the first line, where there are several and it is a usable one."""
    first, separator, _ = text.partition(b"\n")
    width = len(first.rstrip(b"\r"))
    usable = separator and width and width % 4 == 0 and width <= _LONGEST_LINE
    return width if usable else _BASE64_WIDTH
