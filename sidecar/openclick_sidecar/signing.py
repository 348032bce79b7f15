"""Signs an attempt: Anypost's header, and the Standard Webhooks headers beside it.

Called by `dispatcher` for each attempt anew, because receivers refuse a signature older than five
minutes.  Pure.

    Anypost-Signature: t=<unix seconds>,v1=<hex>    HMAC-SHA256 over "t.body", the key is the whole
                                                    secret string
    webhook-id, webhook-timestamp, webhook-signature: v1,<base64>
                                                    HMAC-SHA256 over "id.t.body", the key is what
                                                    follows whsec_, decoded from base64
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

from openclick.webhooks import SECRET_PREFIX

SECRET_BYTES = 24


def new_secret(randomness: Callable[[int], bytes]) -> str:
    """Return a new secret: whsec_ and 24 random bytes in standard base64."""
    return SECRET_PREFIX + base64.b64encode(randomness(SECRET_BYTES)).decode("ascii")


def signature_headers(secret: str, batch_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the header fields that prove `body` to come from the holder of `secret`."""
    stamp = str(timestamp)
    anypost = _digest(secret.encode("utf-8"), f"{stamp}.".encode(), body).hex()
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    standard = _digest(key, f"{batch_id}.{stamp}.".encode(), body)
    return {
        "Anypost-Signature": f"t={stamp},v1={anypost}",
        "webhook-id": batch_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(standard).decode('ascii')}",
    }


def _digest(key: bytes, head: bytes, body: bytes) -> bytes:
    return hmac.new(key, head + body, hashlib.sha256).digest()
