"""What the API remembers of a send, so that a repeated request sends nothing twice.

Made by the API, kept in openclick.db for 24 hours.  Pure data.  A request that names an
Idempotency-Key is a *claim*: its ids are on disk before the first message is submitted, each
acceptance is noted, and at last the answer.  After a crash a claim without an answer is in doubt:
what was accepted is not submitted again, and the rest is submitted with the same ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openclick.instants import SECOND, Instant

KEPT = 86_400 * SECOND
"""How long a repeat gets the first answer."""


@dataclass(frozen=True)
class Claim:
    """A request that names an Idempotency-Key.

    `digest` tells one request body from another; `email_ids` are those of its entries, for the case
    that the claim is new.
    """

    api_key_id: str
    idempotency_key: str
    digest: bytes
    email_ids: Sequence[bytes]
    claimed_at: Instant

    @property
    def name(self) -> tuple[str, str]:
        """What makes this claim the same as another."""
        return self.api_key_id, self.idempotency_key


@dataclass(frozen=True)
class Acceptance:
    """One entry of a claim was taken by Postfix."""

    name: tuple[str, str]
    entry: int
    accepted_at: Instant


@dataclass(frozen=True)
class FirstAnswer:
    """What a claim was answered with, and a repeat will be."""

    name: tuple[str, str]
    status_code: int
    body: bytes


@dataclass(frozen=True)
class Withdrawal:
    """A claim came to nothing: Postfix has nothing of it, and its name is free again."""

    name: tuple[str, str]


SendNote = Claim | Acceptance | FirstAnswer | Withdrawal


@dataclass(frozen=True)
class Claimed:
    """What the store says to a claim.

    `mismatch`: the name was used for another body.  `answer` is the first answer, where there is
    one.  Else the request is to be carried out with `email_ids`, less the entries in `accepted`;
    `claimed_at` is when it came first.
    """

    mismatch: bool
    answer: FirstAnswer | None
    email_ids: tuple[bytes, ...]
    accepted: frozenset[int]
    claimed_at: Instant
