"""Signs an attempt: Anypost's header, and the Standard Webhooks headers beside it.

Called by `dispatcher` for each attempt anew, because receivers refuse a signature older than five
minutes.  Pure.

    Anypost-Signature: t=<unix seconds>,v1=<hex>    HMAC-SHA256 over "t.body", the key is the whole
                                                    secret string
    webhook-id, webhook-timestamp, webhook-signature: v1,<base64>
                                                    HMAC-SHA256 over "id.t.body", the key is what
                                                    follows whsec_, decoded from base64

One signature for each live secret, so that a receiver may hold the old or the new one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from openclick.webhooks import SECRET_PREFIX


def signature_headers(
    secrets: Sequence[str], batch_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the header fields that prove `body` to come from the holder of each secret."""
    stamp = str(timestamp)
    anypost = [f"v1={_anypost(secret, stamp, body)}" for secret in secrets]
    standard = [f"v1,{_standard(secret, batch_id, stamp, body)}" for secret in secrets]
    return {
        "Anypost-Signature": ",".join((f"t={stamp}", *anypost)),
        "webhook-id": batch_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(standard),
    }


def _anypost(secret: str, stamp: str, body: bytes) -> str:
    return _digest(secret.encode("utf-8"), f"{stamp}.".encode(), body).hex()


def _standard(secret: str, batch_id: str, stamp: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = _digest(key, f"{batch_id}.{stamp}.".encode(), body)
    return base64.b64encode(digest).decode("ascii")


def _digest(key: bytes, head: bytes, body: bytes) -> bytes:
    return hmac.new(key, head + body, hashlib.sha256).digest()
