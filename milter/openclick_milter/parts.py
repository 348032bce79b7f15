"""Finds the parts of a MIME message as ranges of its body, without copying or decoding any.

Called by `instrument`.  Promises: a range holds exactly the encoded content of a part, so that
replacing bytes in it can move no boundary; where two readers could see a different structure, the
message is refused (`Unreadable`) rather than guessed at; time is linear, and depth, part count and
header size are bounded.

Source: RFC 2045 (header fields), RFC 2046, 5.1 (multipart).  A boundary line is `--boundary`,
perhaps `--`, then only blanks, as in Python's `email`, the independent second reader of the tests.

What is refused and what is not: anything that decides where parts lie (Content-Type, boundaries,
a transfer encoding on a multipart) spoils the whole message when it is unclear.  The transfer
encoding of a leaf does not: lines are delimited before it is looked at, so garbage on an attachment
harms nobody; an HTML part with it is left by `instrument`.  A leaf whose Content-Type cannot be
read is not entered and not edited.

Limits: a line that continues a boundary (`--boundaryX`) is no boundary line, though RFC 2046 would
let a reader take it for one: nested boundaries with a common beginning are everyday mail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache
from typing import NamedTuple

from openclick_milter.reasons import Reason, Unreadable
from openclick_milter.splice import IDENTITY

MAX_VALUE_BYTES = 1024
"""Longest Content-Type field that is parsed: the standard library takes quadratic time for it."""

_BLANK_LINE = re.compile(rb"\n\r?\n")
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:[ \t]*")
_BARE_CR = re.compile(rb"\r(?!\n)")
_AFTER_DELIMITER = re.compile(rb"(--)?[ \t]*(?:\r?(\n)|(\r)|\Z)")
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
_STRUCTURE_FIELDS = ("content-type", "content-transfer-encoding", "content-disposition")

_NEVER_ENTERED = {
    "multipart/signed": Reason.SIGNED,
    "multipart/encrypted": Reason.ENCRYPTED,
    "application/pkcs7-mime": Reason.SMIME,
    "application/x-pkcs7-mime": Reason.SMIME,
    "multipart/digest": Reason.ENCLOSED,
}


@dataclass(frozen=True)
class Limits:
    """Bounds; beyond one of them a message stays untouched.

    `max_header_bytes` is for a part and is what Postfix allows one field (header_size_limit);
    `max_top_header_bytes` is for the message's own header, in which a long To, a long Cc and the
    fields of many relays may come together: four such fields.
    """

    max_depth: int = 30
    max_parts: int = 1000
    max_header_bytes: int = 102_400
    max_top_header_bytes: int = 409_600
    max_message_bytes: int = 10_240_000
    clip_bytes: int = 102_400
    line_bytes: int = 998


class Part(NamedTuple):
    """One entity of a message; `start` and `end` bound its encoded content in the body.

    `number` counts entities in the order of the message; 0 is the message itself.  `left` says why
    neither it nor what it holds is to be edited, "" where it may be.
    """

    number: int
    depth: int
    start: int
    end: int
    content_type: str
    charset: str
    encoding: str
    left: str


class ContentType(NamedTuple):
    """What a Content-Type field says; `fault` is "" where it can be relied on."""

    name: str = "text/plain"
    charset: str = ""
    boundary: bytes = b""
    fault: str = ""


Fields = dict[str, str]


def find_parts(
    headers: Sequence[tuple[str, str]],
    body: bytes,
    limits: Limits,
    checkpoint: Callable[[], None] = lambda: None,
) -> list[Part]:
    """Return the entities of a message in their order.

    `headers` are its top-level fields.  Nothing below a part with a `left` reason is listed.
    Raises Unreadable.
    """
    found = ((name.lower(), value) for name, value in headers)
    walk = _Walk(body, limits, checkpoint)
    walk.entity(_structure_fields(found), 0, len(body), 0)
    return walk.parts


def header_bytes(headers: Iterable[tuple[str, str]]) -> int:
    """Return the size of top-level fields as they travel: name, colon, blank, value, CRLF."""
    return sum(len(name) + len(value.encode("utf-8", "replace")) + 4 for name, value in headers)


def header_refusal(headers: Sequence[tuple[str, str]]) -> str:
    """Say from its header alone why a message holds nothing to edit, "" where its body decides.

    The reason is the one that the whole message would give.
    """
    try:
        fields = _structure_fields((name.lower(), value) for name, value in headers)
    except Unreadable as fault:
        return fault.reason
    content_type = parse_content_type(fields.get("content-type", ""))
    kept = _NEVER_ENTERED.get(content_type.name, "") or content_type.fault
    if content_type.name.startswith("multipart") or hides_html(content_type.name, kept):
        return kept
    is_html = content_type.name == "text/html" and not _kept_apart(fields)
    return "" if is_html else Reason.NO_HTML


def hides_html(content_type: str, left: str) -> bool:
    """Tell whether HTML was left out with such a part, so that `left` explains the message."""
    if left in ("", Reason.ATTACHMENT):
        return False
    return "html" in content_type or left in _NEVER_ENTERED.values()


class _Walk:
    """The walk through one message's entities, outermost first, so that outer boundaries win."""

    def __init__(self, body: bytes, limits: Limits, checkpoint: Callable[[], None]) -> None:
        self.parts: list[Part] = []
        self._body = body
        self._limits = limits
        self._checkpoint = checkpoint

    def entity(self, fields: Fields, start: int, end: int, depth: int) -> None:
        """Take the entity whose content lies from `start` to `end`, and those inside it."""
        self._checkpoint()
        content_type = parse_content_type(fields.get("content-type", ""))
        encoding = fields.get("content-transfer-encoding", "").strip().lower()
        is_multipart = content_type.name.startswith("multipart")
        if is_multipart and content_type.fault:
            raise Unreadable(content_type.fault)
        left = _NEVER_ENTERED.get(content_type.name) or content_type.fault or _kept_apart(fields)
        number, name = len(self.parts), content_type.name
        if number >= self._limits.max_parts:
            raise Unreadable(Reason.TOO_MANY_PARTS)
        self.parts.append(
            Part(number, depth, start, end, name, content_type.charset, encoding, left)
        )
        if is_multipart and not left:
            if encoding not in IDENTITY:
                raise Unreadable(Reason.ENCODED_MULTIPART)
            self._multipart(content_type.boundary, start, end, depth + 1)

    def _multipart(self, boundary: bytes, start: int, end: int, depth: int) -> None:
        if not boundary:
            raise Unreadable(Reason.NO_BOUNDARY)
        if depth > self._limits.max_depth:
            raise Unreadable(Reason.TOO_DEEP)
        most = self._limits.max_parts - len(self.parts)
        for part_start, part_end in split_multipart(self._body, start, end, boundary, most):
            fields, content = self._part_fields(part_start, part_end)
            self.entity(fields, content, part_end, depth)

    def _part_fields(self, start: int, end: int) -> tuple[Fields, int]:
        """Read the header of the part from `start` to `end`; return its fields and content start.

        A part without a blank line is all header.
        """
        body = self._body
        if start >= end:
            return {}, end
        for newline in (b"\r\n", b"\n"):
            if body.startswith(newline, start, end):
                return {}, start + len(newline)
        bound = start + self._limits.max_header_bytes
        blank = _BLANK_LINE.search(body, start, min(end, bound))
        if blank is None and bound < end:
            raise Unreadable(Reason.HEADER_TOO_LONG)
        block = body[start : blank.start() + 1 if blank else end]
        return _structure_fields(_fields(block)), blank.end() if blank else end


def split_multipart(
    body: bytes, start: int, end: int, boundary: bytes, most: int
) -> list[tuple[int, int]]:
    """Return the ranges, headers included, of the parts that `boundary` delimits in `body`.

    The line end before a boundary line belongs to that line (RFC 2046, 5.1.1).  Raises Unreadable,
    also with more than `most` parts.
    """
    delimiter = b"--" + boundary
    ranges: list[tuple[int, int]] = []
    opened = -1
    for position, after, closes in _boundary_lines(body, start, end, delimiter):
        if opened == position:
            raise Unreadable(Reason.NO_PART_BETWEEN)
        if opened >= 0:
            ranges.append((opened, max(opened, _before_newline(body, position))))
        if closes:
            if opened < 0:
                break
            if body.find(b"\r" + delimiter, after, end) >= 0:
                raise Unreadable(Reason.BARE_CR_BOUNDARY)
            return ranges
        if len(ranges) >= most:
            raise Unreadable(Reason.TOO_MANY_PARTS)
        opened = after
    raise Unreadable(Reason.NO_FIRST_BOUNDARY if opened < 0 else Reason.NO_END_BOUNDARY)


def _boundary_lines(
    body: bytes, start: int, end: int, delimiter: bytes
) -> Iterator[tuple[int, int, bool]]:
    """Yield start, end and "is the last one" of each line that is `delimiter`."""
    for position in _line_starts(body, start, end, delimiter):
        line = _AFTER_DELIMITER.match(body, position + len(delimiter), end)
        if line is None:
            continue
        if line[3]:
            raise Unreadable(Reason.BARE_CR_BOUNDARY)
        yield position, line.end(), bool(line[1])


def _line_starts(body: bytes, start: int, end: int, beginning: bytes) -> Iterator[int]:
    """Yield the offset of each line that begins with `beginning`.

    Raises Unreadable where it stands behind a bare CR, which some readers take for a line end.
    """
    found = body.find(beginning, start, end)
    while found >= 0:
        before = body[found - 1 : found] if found > start else b"\n"
        if before == b"\n":
            yield found
        elif before == b"\r":
            raise Unreadable(Reason.BARE_CR_BOUNDARY)
        found = body.find(beginning, found + 1, end)


def _before_newline(body: bytes, position: int) -> int:
    """Return the offset of the line end that stands before the line at `position`."""
    return position - (2 if body[position - 2 : position] == b"\r\n" else 1)


def _fields(block: bytes) -> Iterator[tuple[str, str]]:
    """Yield the fields of a part's header, names in lower case, values unfolded.

    Raises Unreadable for a line that is no header field: readers differ about what follows it.
    """
    if _BARE_CR.search(block):
        raise Unreadable(Reason.BAD_PART_HEADER)
    name = ""
    value: list[bytes] = []  # joined at the end: adding to bytes would copy them for each line
    for line in block.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n"):
        if line[:1] in (b" ", b"\t") and name:
            value.append(line)
            continue
        match = _FIELD.match(line)
        if match is None:
            raise Unreadable(Reason.BAD_PART_HEADER)
        if name:
            yield name, b"".join(value).decode("ascii", "surrogateescape")
        name, value = match[1].decode("ascii").lower(), [line[match.end() :]]
    if name:
        yield name, b"".join(value).decode("ascii", "surrogateescape")


def _structure_fields(fields: Iterable[tuple[str, str]]) -> Fields:
    """Pick the fields that say what a part is.  Raises Unreadable where one occurs twice."""
    picked: Fields = {}
    for name, value in fields:
        if name in _STRUCTURE_FIELDS:
            if name in picked:
                raise Unreadable(Reason.DUPLICATE_HEADER)
            picked[name] = value
    return picked


def _kept_apart(fields: Fields) -> str:
    """Say why Content-Disposition keeps a part from being edited, "" where it does not.

    A disposition that is not known counts as attachment (RFC 2183, 2.8).
    """
    disposition = fields.get("content-disposition", "").partition(";")[0].strip().lower()
    return "" if disposition in ("", "inline") else Reason.ATTACHMENT


@lru_cache(maxsize=512)
def parse_content_type(value: str) -> ContentType:
    """Read a Content-Type field's value, "" for a field that is missing."""
    if not value.strip():
        return ContentType()
    value = value.replace("\r", "").replace("\n", "")
    name = value.partition(";")[0].strip().lower()
    if len(value) > MAX_VALUE_BYTES:
        return ContentType(name, fault=Reason.HEADER_TOO_LONG)
    if not _TYPE.fullmatch(name) or not value.isascii():
        return ContentType(name, fault=Reason.BAD_CONTENT_TYPE)
    message = Message()
    message["Content-Type"] = value
    try:
        names = [parameter.lower() for parameter, _ in message.get_params([])]
        charset, boundary = message.get_content_charset(""), message.get_boundary("")
    except (ValueError, LookupError, TypeError, AttributeError):
        return ContentType(name, fault=Reason.BAD_CONTENT_TYPE)
    if names.count("charset") > 1 or names.count("boundary") > 1:
        return ContentType(name, fault=Reason.DUPLICATE_PARAMETER)
    return ContentType(name, charset, boundary.encode("ascii", "replace"))
