"""What the judge says of a hit: a verdict with the rule that decided and its evidence.

Made by the sidecar's judge, kept in openclick.db for every hit, dropped ones too.  Pure data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
