"""The body of one message as it comes in, chunk by chunk, and with its edits made.

Called by `submission`.  Promises: the message stands in memory once; with attachments of 25 MB the
kernel's work for fresh memory costs more than all of ours.  So the edited body is never whole: it
is made piece by piece, and each piece is on its way to Postfix, still in the processor's cache,
before the next is made.

Limits: pieces behind the first are made while Postfix already takes the new body, when there is no
way back (`callbacks`); all that can fail there is memory for one more piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import chain

from openclick_milter.splice import Edit

_PIECE_BYTES = 4 * 65_535
"""Four of the protocol's packets; nearly every mail without attachments is one piece."""


class GatheredBody:
    """Grows by `add`; BytesIO hands its bytes out without a copy."""

    def __init__(self) -> None:
        self._buffer = BytesIO()

    def add(self, chunk: bytes) -> None:
        """Take the next piece."""
        self._buffer.write(chunk)

    def content(self) -> bytes:
        """Return what has come."""
        return self._buffer.getvalue()

    def edited(self, edits: Sequence[Edit]) -> Iterator[bytes]:
        """Return what has come with `edits` made, which are in order and do not overlap.

        In pieces, of which the first is made at once.
        """
        pieces = _pieces(self.content(), edits)
        return chain((next(pieces, b""),), pieces)


def _pieces(body: bytes, edits: Sequence[Edit]) -> Iterator[bytes]:
    """Yield the edited body in pieces of _PIECE_BYTES, more where a replacement makes them so."""
    view = memoryview(body)
    piece: list[bytes | memoryview] = []
    room = _PIECE_BYTES
    done = 0
    for edit in (*edits, Edit(len(body), b"", b"")):
        while edit.start - done >= room:
            piece.append(view[done : done + room])
            done += room
            yield b"".join(piece)
            piece, room = [], _PIECE_BYTES
        piece += view[done : edit.start], edit.replacement
        room -= edit.start - done + len(edit.replacement)
        done = edit.start + len(edit.original)
        if room <= 0:
            yield b"".join(piece)
            piece, room = [], _PIECE_BYTES
    if any(piece):
        yield b"".join(piece)
