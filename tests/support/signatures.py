"""Checks webhook signatures, written from the wire format alone.

Who calls: functional tests, the demo and the bench, mostly by way of `webhook_receiver`.
Promises: shares no code with OpenClick; a SignatureError says which check failed. Stricter than
Anypost's SDKs in one point: a timestamp from the future beyond the tolerance fails too, since it
can only be our own mistake.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence


class SignatureError(Exception):
    """A signature does not hold; `reason` is the stable code, the text says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


def verify_signature(
    secret: str, header: str, body: bytes, now: float, tolerance: float = 300.0
) -> None:
    """Check one `Anypost-Signature`; SignatureError says which check failed."""
    if not header.strip():
        raise SignatureError("malformed_header", "the header is empty")
    pairs = [part.strip().partition("=")[::2] for part in header.split(",")]
    stamps = [value for key, value in pairs if key == "t"]
    if len(stamps) != 1 or not (stamps[0].isascii() and stamps[0].isdigit()):
        raise SignatureError("no_timestamp", f"one t=<unix seconds> is needed in {header!r}")
    candidates = [value for key, value in pairs if key == "v1"]
    if not candidates:
        raise SignatureError("no_signatures", f"no v1=<hex> in {header!r}")
    _check_age(stamps[0], now, tolerance)
    signed = stamps[0].encode("ascii") + b"." + body
    expected = hmac.new(secret.encode("utf-8"), signed, hashlib.sha256).hexdigest()
    _check_match(expected, candidates)


def verify_standard_webhook(
    secret: str, headers: Mapping[str, str], body: bytes, now: float, tolerance: float = 300.0
) -> None:
    """Check the Standard Webhooks headers (`headers` keyed in lower case)."""
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    for name in names:
        if not headers.get(name, "").strip():
            raise SignatureError("malformed_header", f"{name} is missing or empty")
    identity, stamp, signatures = (headers[name] for name in names)
    if not (stamp.isascii() and stamp.isdigit()):
        raise SignatureError("no_timestamp", f"webhook-timestamp is {stamp!r}")
    pairs = [part.partition(",")[::2] for part in signatures.split()]
    candidates = [value for version, value in pairs if version == "v1"]
    if not candidates:
        raise SignatureError("no_signatures", f"no v1,<base64> in {signatures!r}")
    _check_age(stamp, now, tolerance)
    signed = f"{identity}.{stamp}.".encode() + body
    digest = hmac.new(_standard_key(secret), signed, hashlib.sha256).digest()
    _check_match(base64.b64encode(digest).decode("ascii"), candidates)


def _standard_key(secret: str) -> bytes:
    prefix, _, encoded = secret.partition("_")
    if prefix != "whsec":
        raise SignatureError("bad_secret", "a secret begins with whsec_")
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise SignatureError("bad_secret", f"after whsec_ base64 is needed: {error}") from error


def _check_age(stamp: str, now: float, tolerance: float) -> None:
    age = now - int(stamp)
    if abs(age) > tolerance:
        raise SignatureError(
            "timestamp_out_of_tolerance", f"signed {age:g} s ago, {tolerance:g} s are allowed"
        )


def _check_match(expected: str, candidates: Sequence[str]) -> None:
    if not any(hmac.compare_digest(expected.encode(), c.encode()) for c in candidates):
        raise SignatureError("no_match", f"none of {len(candidates)} signatures fits the body")
