"""Keys of the HTTP API: who may ask for what.

Made by `openclick apikey`, kept in openclick.db, asked for by the API at every request.  Pure.

Promises: a key's secret is shown once and kept by nobody; the store holds its SHA-256 alone, which
is enough because a secret has 256 random bits: there is nothing to guess, so nothing to slow down.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from openclick.instants import Instant

SECRET_PREFIX = "ap_"  # noqa: S105 - the public beginning of every secret
SHOWN_CHARS = 12
"""How much of a secret is kept readable, so that its owner recognises it."""
_RANDOM_BYTES = 32


class Permissions(StrEnum):
    """What a key may be used for: everything, or sending and `whoami` alone."""

    FULL = "full"
    SEND_ONLY = "send_only"


@dataclass(frozen=True)
class ApiKey:
    """One key.

    `allowed_domains` are the sending domains that it may send from and read of; empty means all.
    """

    key_id: str
    name: str
    prefix: str
    permissions: Permissions
    allowed_domains: tuple[str, ...]
    created_at: Instant
    revoked_at: Instant | None = None

    def allows(self, domain: str | None) -> bool:
        """Tell whether this key may send from, or read of, a sending domain (None: unknown)."""
        return not self.allowed_domains or domain in self.allowed_domains


def new_api_secret(randomness: Callable[[int], bytes]) -> str:
    """Return a new secret: ap_ and 32 random bytes in base64url."""
    return SECRET_PREFIX + base64.urlsafe_b64encode(randomness(_RANDOM_BYTES)).decode().rstrip("=")


def secret_digest(secret: str) -> bytes:
    """Return what the store holds instead of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
