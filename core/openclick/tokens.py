"""Tokens: what a tracking link and an open image carry, sealed.

The contract of the two daemons: the milter seals, the sidecar opens, and nothing in between is
asked of the store.  A token is base64url without padding of

    key id (1 byte) || AES-SIV(key, [key id, kind, tracking domain], plaintext)
    plaintext = email id (16) || copy (4) || link index (2) || flags (1) || destination (UTF-8)

AES-SIV (RFC 5297) is deterministic, hides destination and ids, and binds a token to its kind and
tracking domain: one made for another domain does not open here.  Promises: `KeyRing.open` returns
exactly what was sealed or raises BadToken; only http and https destinations are sealed.

Limits: whoever can open can seal.
"""

from __future__ import annotations

import binascii
import functools
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from openclick.aes_siv import TAG_BYTES, InvalidSeal, SivKey
from openclick.ids import COPY_BYTES, EMAIL_ID_BYTES

KEY_BYTES = 64
"""Length of a key: AES-256-SIV."""
MAX_TRACKING_URL_CHARS = 2000
"""Longer URLs are cut or refused by some clients and proxies; such a destination stays as it is."""

_HEAD_BYTES = EMAIL_ID_BYTES + COPY_BYTES + 2 + 1
_TOKEN_RUN = re.compile(r"[A-Za-z0-9_-]+")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")
# One or two bytes beyond a multiple of three leave the last character four or two bits to spare,
# which are 0 in the one canonical spelling.
_LAST_CHARACTERS = ("", "AQgw", "AEIMQUYcgkosw048")
_WEB_SCHEME = re.compile(r"https?://", re.IGNORECASE)


class Kind(StrEnum):
    """What a token is for; the value is the path segment that stands before it."""

    OPEN = "o"
    CLICK = "c"


class BadToken(Exception):
    """A token that this key ring does not open; the message says why, for the log only."""


class UnknownKey(BadToken):
    """A token of a key that this ring does not hold."""

    def __init__(self, key_id: int) -> None:
        super().__init__(f"key id {key_id} is unknown")
        self.key_id = key_id


class Token(NamedTuple):
    """What a token says.  `flags` is kept for later formats and is 0 today."""

    email_id: bytes
    copy: bytes
    link_index: int = 0
    destination: str = ""
    flags: int = 0


class KeyRing:
    """The keys of one installation: all of them open, the newest seals.

    Immutable, and safe to use from several threads at once.
    """

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        """Take `keys`: key id (0 to 255) to 64 secret bytes; at least one."""
        if not keys:
            raise ValueError("a key ring needs a key")
        self._ciphers = {key_id: SivKey(secret) for key_id, secret in keys.items()}
        self._oldest_secret = keys[min(keys)]
        self.sealing_id = max(keys)

    @property
    def key_ids(self) -> tuple[int, ...]:
        """The ids of the keys held, in order."""
        return tuple(sorted(self._ciphers))

    def derived_key(self, purpose: bytes) -> bytes:
        """Return 32 bytes for another purpose than tokens, the same while the oldest key lives.

        The oldest, so that a rotation changes nothing that was derived.
        """
        return hmac.new(self._oldest_secret, b"openclick " + purpose, hashlib.sha256).digest()

    def seal(self, kind: Kind, tracking_domain: str, token: Token) -> str:
        """Return the token as text; see `seal_many`."""
        return self.seal_many(tracking_domain, [(kind, token)])[0]

    def seal_many(self, tracking_domain: str, tokens: Sequence[tuple[Kind, Token]]) -> list[str]:
        """Return each token as text, in their order.

        `tracking_domain` is an A-label name in lower case.  Raises ValueError for a link whose
        destination is not http or https.
        """
        if not all(kind is Kind.OPEN or _WEB_SCHEME.match(t.destination) for kind, t in tokens):
            raise ValueError("only http and https destinations are sealed")
        key_id = self.sealing_id
        associated = {kind: _associated(key_id, kind, tracking_domain) for kind in Kind}
        sealed = self._ciphers[key_id].encrypt_many(
            [_pack(token) for _, token in tokens], [associated[kind] for kind, _ in tokens]
        )
        head = bytes([key_id])
        return [_encode(head + one) for one in sealed]

    def open(self, kind: Kind, tracking_domain: str, text: str) -> Token:
        """Return what the leading run of base64url characters of `text` seals.

        Raises UnknownKey where the key is not held, BadToken for everything else.
        """
        run = _TOKEN_RUN.match(text)
        if run is None:
            raise BadToken("no token")
        raw = _decode(run[0])
        if len(raw) < 1 + TAG_BYTES + _HEAD_BYTES:
            raise BadToken("too short")
        key_id = raw[0]
        if key_id not in self._ciphers:
            raise UnknownKey(key_id)
        try:
            plain = self._ciphers[key_id].decrypt(
                raw[1:], _associated(key_id, kind, tracking_domain)
            )
        except InvalidSeal as error:
            raise BadToken("does not open") from error
        return _unpack(kind, plain)


def tracking_path(kind: Kind, text: str) -> str:
    """Return the path of a tracking URL: /c/TOKEN or /o/TOKEN."""
    return f"/{kind.value}/{text}"


@functools.lru_cache(maxsize=1024)
def _associated(key_id: int, kind: Kind, tracking_domain: str) -> tuple[bytes, ...]:
    return bytes([key_id]), kind.value.encode("ascii"), tracking_domain.encode("ascii")


def _pack(token: Token) -> bytes:
    if len(token.email_id) != EMAIL_ID_BYTES or len(token.copy) != COPY_BYTES:
        raise ValueError("email id or copy of the wrong length")
    numbers = token.link_index.to_bytes(2, "big") + bytes((token.flags,))
    return token.email_id + token.copy + numbers + token.destination.encode("utf-8")


def _unpack(kind: Kind, plain: bytes) -> Token:
    try:
        destination = plain[_HEAD_BYTES:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadToken("destination is not UTF-8") from error
    if kind is Kind.CLICK and not _WEB_SCHEME.match(destination):
        raise BadToken("destination is neither http nor https")
    return Token(
        email_id=plain[:EMAIL_ID_BYTES],
        copy=plain[EMAIL_ID_BYTES : EMAIL_ID_BYTES + COPY_BYTES],
        link_index=int.from_bytes(plain[20:22], "big"),
        flags=plain[22],
        destination=destination,
    )


def _encode(raw: bytes) -> str:
    text = binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE)
    return text.rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    """Decode base64url, and refuse every spelling but the canonical one (RFC 4648, 3.5).

    `text` is a run of the alphabet's characters.
    """
    try:
        padded = text.encode("ascii").translate(_STANDARD) + b"=" * (-len(text) % 4)
        raw = binascii.a2b_base64(padded)
    except binascii.Error as error:
        raise BadToken("not base64url") from error
    tail = len(raw) % 3
    if tail and text[-1] not in _LAST_CHARACTERS[tail]:
        raise BadToken("not canonical")
    return raw
