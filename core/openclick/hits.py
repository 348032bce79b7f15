"""A hit: one GET with a valid token, as the recorder writes it and the judge reads it.

Pure data.  Everything that the judge may need stands here, because the request is long gone when
the hit is judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from openclick.instants import Instant
from openclick.tokens import Kind


class Hit(NamedTuple):
    """One request that was answered; a tuple, because one is made before each answer.

    `hit_id` has 16 bytes in the order of time, 10 of them random (`ids.new_hit_id`), made before
    the first write; the event's id derives from it.
    `headers` holds only the fields named in `JUDGED_HEADERS`, in lower case.
    """

    hit_id: bytes
    received_at: Instant
    kind: Kind
    email_id: bytes
    copy: bytes
    link_index: int
    destination: str
    tracking_domain: str
    ip: str
    user_agent: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Click:
    """What of a click tells whether it belongs to a burst.

    `position` is its place in hits.db; 0 where it is known from its verdict.
    """

    position: int
    received_at: Instant
    email_id: bytes
    copy: bytes
    link_index: int
    ip: str


JUDGED_HEADERS = (
    "purpose",
    "sec-purpose",
    "x-moz",
    "x-purpose",
    "sec-ch-ua",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-user",
    "accept",
    "accept-language",
    "referer",
)
"""The request's fields that are kept with a hit, since a rule or an admin may ask for them."""

MAX_HEADER_CHARS = 512
"""How much of one such field, or of the user agent, is kept."""
