"""How much of a list stands on the status page, so that the page stays small.

Used by `page`.  Pure.  What must stand there is made first; what is left of MOST_BYTES is shared
out among the lists, each of which says how many of its entries are left out.  Texts from outside
are cut, so that no single one fills a list.

Limits: the texts that are cut can be read whole by the command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from openclick_sidecar.status.markup import Markup

MOST_BYTES = 50_000
"""How large the page is at most: it is for a telephone in a bad network, too."""

T = TypeVar("T")


@dataclass(frozen=True)
class Fitted(Generic[T]):
    """The entries of a list that found room, as they are shown, and those that did not."""

    shown: Sequence[Markup] = ()
    left_out: Sequence[T] = ()


class Room:
    """Bytes that are not taken yet."""

    def __init__(self, bytes_: int) -> None:
        self.bytes_left = bytes_

    def fit(
        self, entries: Sequence[T], show: Callable[[T], Markup], most_bytes: int | None = None
    ) -> Fitted[T]:
        """Take entries in their order until one has no room; `most_bytes` is this list's share."""
        share = self.bytes_left if most_bytes is None else min(most_bytes, self.bytes_left)
        shown: list[Markup] = []
        for entry in entries:
            made = show(entry)
            size = len(made.encode("utf-8"))
            if size > share:
                break
            share -= size
            self.bytes_left -= size
            shown.append(made)
        return Fitted(shown, entries[len(shown) :])


def clip(text: str, most: int) -> str:
    """Cut a text from outside to so many characters, a dot-dot-dot the last."""
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
