"""What came of one message: its links, its open image, the edits, or the reason for none.

Made by `instrument`, read by `submission`, the command and the tests.  Pure data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from openclick_milter.splice import Edit


class LinkOutcome(NamedTuple):
    """What became of one link: `link_index` counts the message's links and is sealed in its token.

    `part` counts the message's entities, 0 being the message itself; `reason` is "" where the link
    is tracked.
    """

    link_index: int
    part: int
    destination: str
    tracked: bool
    reason: str


@dataclass(frozen=True)
class ImageOutcome:
    """Whether the open image was placed, and where, or why not."""

    placed: bool
    reason: str


@dataclass(frozen=True)
class Untouched:
    """Nothing is to be changed, for this reason."""

    reason: str


@dataclass(frozen=True)
class Plan:
    """The edits to make, and everything that was decided on the way.

    `own_urls` are tracking links and images of ours that the message carried already: it is a
    reply, a forward, or the same mail coming round again (their message rows tell which).
    `left_parts` are the HTML parts that stay as they are, by their numbers, each with the reason.
    """

    links: tuple[LinkOutcome, ...]
    image: ImageOutcome
    edits: tuple[Edit, ...]
    own_urls: tuple[str, ...]
    left_parts: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Instrumented(Plan):
    """The new body with them."""

    body: bytes
