"""What the judge says of a hit: a verdict with the rule that decided and its evidence.

Made by the sidecar's judge, kept in openclick.db for every hit, dropped ones too.  Pure data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

from openclick.hits import Hit
from openclick.instants import Instant
from openclick.tokens import Kind


class Visitor(StrEnum):
    """Who made a hit."""

    PERSON = "person"
    PROXY = "proxy"
    PREFETCH = "prefetch"
    AUTOMATION = "automation"


COUNTED = frozenset({Visitor.PERSON, Visitor.PROXY})
"""The visitors whose hits become events; the others' are dropped."""


@dataclass(frozen=True)
class Verdict:
    """The judgement on one hit.

    `rule` names the rule in the data file, `evidence` quotes what it matched, `source` names an
    image proxy's owner and is empty for everybody else.
    """

    visitor: Visitor
    rule: str
    evidence: str = ""
    source: str = ""

    @property
    def counts(self) -> bool:
        """Whether the hit becomes an event."""
        return self.visitor in COUNTED


@dataclass(frozen=True)
class JudgedHit:
    """A hit as it is remembered once it was judged; `event_id` is None for a dropped one."""

    hit_id: bytes
    received_at: Instant
    judged_at: Instant
    kind: Kind
    email_id: bytes
    copy: bytes
    link_index: int
    ip: str
    user_agent: str
    verdict: Verdict
    event_id: str | None


def visit_of(hit: Hit) -> bytes:
    """Return 8 bytes that name which token was asked for, from where, by which user agent."""
    who = f"{hit.kind.value} {hit.link_index} {hit.ip} {hit.user_agent}"
    text = who.encode("utf-8", "surrogatepass")
    return blake2b(hit.email_id + hit.copy + text, digest_size=8).digest()
