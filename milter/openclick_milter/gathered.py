"""The body of one message as it comes in, chunk by chunk, and with its edits made.

Called by `submission`.  Promises: the message stands in memory once, as long as nobody else holds
on to `content`; with attachments of 25 MB the kernel's work for fresh memory costs more than all of
ours.  Whoever still holds it when `edited` is called keeps what he has, at the price of a copy.

Limits: after `edited` there is no way back to the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import SEEK_END, BytesIO

from openclick_milter.splice import Edit, apply


class GatheredBody:
    """Grows by `add`; BytesIO hands its bytes out, and changes them, without a copy."""

    def __init__(self) -> None:
        self._buffer = BytesIO()

    def add(self, chunk: bytes) -> None:
        """Take the next piece."""
        self._buffer.write(chunk)

    def content(self) -> bytes:
        """Return what has come."""
        return self._buffer.getvalue()

    def edited(self, edits: Sequence[Edit]) -> bytes:
        """Return what has come with `edits` made, which are in order and do not overlap.

        What stands behind the last edit, nearly always the attachments, is moved in place.
        """
        if not edits:
            return self.content()
        size = self._buffer.seek(0, SEEK_END)
        last_end = edits[-1].start + len(edits[-1].original)
        self._buffer.seek(0)
        head = apply(self._buffer.read(last_end), edits)
        new_size = len(head) + size - last_end
        self._buffer.seek(size)
        self._buffer.write(bytes(max(0, new_size - size)))
        with self._buffer.getbuffer() as view:
            view[len(head) : new_size] = view[last_end:size]
            view[: len(head)] = head
        self._buffer.truncate(new_size)
        return self.content()
