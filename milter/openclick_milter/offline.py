"""Reads a whole message as Postfix would hand it over, for work without Postfix.

Called by `openclick instrument` and `openclick explain message`.  Pure.  `split_message` gives what
`submission` would get of this message, `remove_fields` takes fields out as Postfix does when the
milter asks for it; neither changes a byte of the rest, so that head and body can be put together
again by laying them side by side.

What Postfix and pymilter make of a header (measured with Postfix 3.7.11 and pymilter 1.0.5):

- lines end in LF, and every CR before it belongs to the line end; an empty line, which belongs to
  neither header nor body, ends the header;
- so does the first line that is neither a field nor the continuation of one (no colon, an empty
  name, a name with a blank inside, a NUL or an 8-bit byte; a continuation as the very first line):
  the body begins with it.  A message that is all header has an empty body;
- a field's name is printable ASCII; blanks between it and the colon are dropped, then one space;
  a TAB, further blanks and blanks at the end are part of the value; a fold is "\\n" and its blank;
- a NUL cuts off the rest of its line, a bare CR becomes a space; UTF-8 is decoded, other 8-bit
  bytes become surrogate escapes.  The body may hold anything;
- mbox lines ("From someone …", also with ">" before) ahead of the first field are no fields.
  sendmail(1) drops them, smtpd turns them into X-Mailbox-Line fields; here they are left out of
  the fields and stay in the message.

Limits: fields that Postfix adds (Message-Id, Date, From where they are missing) are not there; its
bounds on the length of lines and of the header are not imitated; the body keeps its line ends,
which the milter sees as CRLF.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from openclick_milter.controls import Removal

_MBOX_LINE = re.compile(rb">*From ", re.IGNORECASE)
_NAME = re.compile(rb"([!-9;-~]+)[ \t]*: ?")
_BLANKS = (b" ", b"\t")


@dataclass
class _Field:
    """One field; its bytes, folds and line ends included, lie from `start` to `end`."""

    name: str
    lines: list[str]
    start: int
    end: int


def split_message(raw: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """Return the fields, in order, and the body of a message.

    The body is the end of `raw`: what stands before it is the head, which `remove_fields` edits.
    """
    fields, body_start = _read(raw)
    return [(field.name, "\n".join(field.lines)) for field in fields], raw[body_start:]


def remove_fields(raw: bytes, removals: Collection[Removal]) -> bytes:
    """Return `raw` without the fields that `removals` names, and otherwise byte for byte.

    An occurrence counts the fields of that name, in any case, of the message as it came, however
    many are removed.  One that is not there is ignored.
    """
    wanted = {(removal.name.lower(), removal.occurrence) for removal in removals}
    counts: dict[str, int] = {}
    kept: list[bytes] = []
    position = 0
    for field in _read(raw)[0]:
        name = field.name.lower()
        counts[name] = counts.get(name, 0) + 1
        if (name, counts[name]) in wanted:
            kept.append(raw[position : field.start])
            position = field.end
    return b"".join((*kept, raw[position:]))


def _read(raw: bytes) -> tuple[list[_Field], int]:
    """Return the fields, and the offset at which the body begins."""
    fields: list[_Field] = []
    position = _after_mbox_lines(raw)
    while position < len(raw):
        end = _line_end(raw, position)
        line = _bare(raw[position:end])
        match = _NAME.match(line)
        if line[:1] in _BLANKS and fields:
            fields[-1].lines.append(_text(line))
            fields[-1].end = end
        elif match:
            name = match[1].decode("ascii")
            fields.append(_Field(name, [_text(line[match.end() :])], position, end))
        else:
            return fields, position if line else end
        position = end
    return fields, position


def _after_mbox_lines(raw: bytes) -> int:
    position = 0
    while _MBOX_LINE.match(raw, position):
        position = _line_end(raw, position)
    return position


def _line_end(raw: bytes, position: int) -> int:
    return raw.find(b"\n", position) + 1 or len(raw)


def _bare(line: bytes) -> bytes:
    return line.removesuffix(b"\n").rstrip(b"\r")


def _text(line: bytes) -> str:
    text = line.partition(b"\0")[0].replace(b"\r", b" ")
    return text.decode("utf-8", "surrogateescape")
