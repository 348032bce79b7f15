"""Which email_id a copy gets.

Called by `submission`.  Pure: keys, clock and randomness are handed in.  Three ways, in this order
(DESIGN 3.12):

1. X-OpenClick-Id, which the API puts into what it submits; `draft` reads it (see `sealed_ids`).
   Ignored if its MAC is not ours.
2. On the second pass of a split: derived from the first queue id and the Message-ID, so that all
   copies of one message get the same.  Its date is that of the first Received field, which whoever
   reaches a trusted listener can write: one that is not of the last week does not count.
3. A fresh UUIDv7.
"""

from __future__ import annotations

import hashlib
import hmac

from openclick.ids import UUID7_RANDOM_BYTES, new_email_id
from openclick.instants import SECOND, Instant
from openclick.tokens import KeyRing
from openclick_milter.received import FirstPass

_SPLIT_PURPOSE = b"split email_id"
_MAX_AGE_SECONDS = 7 * 86_400
"""How long a copy may have waited for its second pass; Postfix gives up after five days."""


def split_email_id(
    first: FirstPass, message_id: str | None, ring: KeyRing, created_at: Instant
) -> bytes:
    """Return the email_id that all copies of one split message share."""
    seed = f"{first.queue_id}\0{message_id or ''}".encode("utf-8", "surrogateescape")
    digest = hmac.new(ring.derived_key(_SPLIT_PURPOSE), seed, hashlib.sha256).digest()
    return new_email_id(_date(first, created_at), digest[:UUID7_RANDOM_BYTES])


def _date(first: FirstPass, created_at: Instant) -> Instant:
    """Return when the message came in first, `created_at` where that cannot be believed."""
    received_at = created_at if first.received_at is None else first.received_at
    believed = 0 <= created_at - received_at <= _MAX_AGE_SECONDS * SECOND
    return received_at if believed else created_at
