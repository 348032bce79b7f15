"""X-OpenClick-Id: how the API tells the milter which email_id a message is to have.

Written by the sidecar's API, read by the milter, always removed from what goes out.  The value is
"email_... MAC"; the MAC's key is derived from the oldest link key, so that a rotation changes
nothing.  Pure.

Promises: nobody without the keys can choose an email_id; a value that is not ours counts as absent.
"""

from __future__ import annotations

import hashlib
import hmac

from openclick.ids import format_email_id, parse_email_id
from openclick.tokens import KeyRing

ID_HEADER = "X-OpenClick-Id"
_PURPOSE = b"x-openclick-id"


def sealed_header(email_id: bytes, ring: KeyRing) -> str:
    """Return the value of X-OpenClick-Id that vouches for `email_id`."""
    text = format_email_id(email_id)
    return f"{text} {_mac(text, ring)}"


def read_sealed_header(value: str, ring: KeyRing) -> bytes | None:
    """Return the email_id that a X-OpenClick-Id vouches for, None for any that is not ours."""
    text, _, mac = value.strip().partition(" ")
    try:
        email_id = parse_email_id(text)
    except ValueError:
        return None
    good = hmac.compare_digest(_mac(text, ring), mac.strip().encode("ascii", "replace").decode())
    return email_id if good else None


def _mac(text: str, ring: KeyRing) -> str:
    key = ring.derived_key(_PURPOSE)
    return hmac.new(key, text.encode("ascii"), hashlib.sha256).hexdigest()
