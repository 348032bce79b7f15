"""The one-time challenge by which a sidecar finds itself through a tracking domain.

Whoever checks a domain (`verifier`) asks `/.well-known/openclick/NONCE` under its name, with random
bytes that were never asked before; `site` answers with their HMAC under a key that is derived from
the link keys.  So only a sidecar that can open the domain's links can answer, and only where the
Host field came through: that name goes into the HMAC too.

Pure.  Promises: an answer helps nobody to make another one, nor to make a token.  Limits: two
sidecars that share their keys are one here, as they are for every link.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from openclick.tokens import KeyRing

NONCE_BYTES = 16
_PREFIX = "/.well-known/openclick/"
_PATH = re.compile(re.escape(_PREFIX) + r"([A-Za-z0-9_-]{22})\Z")
_PURPOSE = b"domain challenge"


def challenge_path(randomness: bytes) -> str:
    """Return the path to ask for; `randomness` is NONCE_BYTES long."""
    nonce = base64.urlsafe_b64encode(randomness).rstrip(b"=").decode("ascii")
    return f"{_PREFIX}{nonce}"


def is_challenge(path: str) -> bool:
    """Tell whether a request asks for the answer to a challenge."""
    return _PATH.match(path) is not None


def answer(ring: KeyRing, host: str, path: str) -> str:
    """Return the answer to a challenge: 64 hex digits; `host` is an A-label in lower case."""
    key = ring.derived_key(_PURPOSE)
    return hmac.new(key, f"{host} {path}".encode("ascii"), hashlib.sha256).hexdigest()
