"""AES-SIV (RFC 5297) with a key that seals many plaintexts at a time.

Called by `tokens`: a newsletter's links are sealed together.  Sealing of one is cryptography's
AESSIV; so are sealing of many and opening from cryptography 43 on.  Before it (Debian 12 has 38)
each call costs 13 us and gives the interpreter's lock away a dozen times, which makes a daemon's
threads change places in the middle of each link.  There the links of a message go through AES
side by side, some ten calls for all of them (docs/adr/0007), and a token that is opened takes two.

Promises: `encrypt_many` returns what AESSIV.encrypt returns, byte for byte, and `decrypt` what
AESSIV.decrypt returns, refusals included.

Limits: no streams.  One of the two modules that import cryptography.
"""

from __future__ import annotations

import functools
import hmac
from collections.abc import Sequence
from itertools import accumulate

import cryptography
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.cmac import CMAC

TAG_BYTES = 16
"""The synthetic IV that stands before the ciphertext."""

MAX_BYTES = 4096
"""Longer plaintexts are sealed one by one."""

_BLOCK_BYTES = 16
_BLOCK_MASK = (1 << 128) - 1
_COUNTER_MASK = _BLOCK_MASK & ~(1 << 63) & ~(1 << 31)  # RFC 5297, 2.5
_LIBRARY_IS_FAST = int(cryptography.__version__.partition(".")[0]) >= 43
_WORTH_A_BATCH = 4


class InvalidSeal(Exception):
    """Nothing that this key sealed with these associated data."""


class SivKey:
    """One key.  Immutable, and safe to use from several threads at once."""

    def __init__(self, secret: bytes) -> None:
        """Take 32, 48 or 64 secret bytes.  Raises ValueError for another length."""
        self._library = AESSIV(secret)
        self._mac_secret = secret[: len(secret) // 2]
        self._prefix = functools.lru_cache(maxsize=256)(self._associated_prefix)
        self._mac_ciphers = _Ciphers(self._mac_secret)
        self._mac_chains = _Chains(self._mac_secret)
        self._stream_ciphers = _Ciphers(secret[len(secret) // 2 :])
        zero = self._mac_ciphers.encrypt(bytes(_BLOCK_BYTES))
        self._whole = _doubled(_number(zero))  # CMAC's subkey for a text of whole blocks
        self._padded = _doubled(self._whole)  # and for any other

    def encrypt_many(
        self, plaintexts: Sequence[bytes], associated: Sequence[tuple[bytes, ...]]
    ) -> list[bytes]:
        """Return tag and ciphertext of each with its associated data, in their order."""
        lengths = [len(plain) for plain in plaintexts]
        fit = (
            len(lengths) >= _WORTH_A_BATCH
            and min(lengths) >= _BLOCK_BYTES
            and max(lengths) <= MAX_BYTES
        )
        if _LIBRARY_IS_FAST or not fit:
            return [
                self._library.encrypt(plain, list(data))
                for plain, data in zip(plaintexts, associated, strict=True)
            ]
        return self.encrypt_side_by_side(plaintexts, associated)

    def encrypt_side_by_side(
        self, plaintexts: Sequence[bytes], associated: Sequence[tuple[bytes, ...]]
    ) -> list[bytes]:
        """Do what `encrypt_many` does for plaintexts of 16 to MAX_BYTES, whatever the version."""
        # The longest first: those that still have a block left always stand in front.
        order = sorted(range(len(plaintexts)), key=lambda place: -len(plaintexts[place]))
        plains = [plaintexts[place] for place in order]
        tags = self._tags(plains, [self._prefix(associated[place]) for place in order])
        sealed = [b""] * len(plains)
        for place, tag, cipher in zip(order, tags, self._ciphertexts(plains, tags), strict=True):
            sealed[place] = tag + cipher
        return sealed

    def decrypt(self, sealed: bytes, associated: tuple[bytes, ...]) -> bytes:
        """Return the plaintext.  Raises InvalidSeal."""
        fits = 2 * _BLOCK_BYTES <= len(sealed) <= MAX_BYTES
        if not _LIBRARY_IS_FAST and fits:
            return self.decrypt_in_two_calls(sealed, associated)
        try:
            return self._library.decrypt(sealed, list(associated))
        except InvalidTag as error:
            raise InvalidSeal from error

    def decrypt_in_two_calls(self, sealed: bytes, associated: tuple[bytes, ...]) -> bytes:
        """Do what `decrypt` does for 32 to MAX_BYTES, whatever the version.  Raises InvalidSeal."""
        tag, ciphertext = sealed[:_BLOCK_BYTES], sealed[_BLOCK_BYTES:]
        counters = _counters(_number(tag) & _COUNTER_MASK, -(-len(ciphertext) // _BLOCK_BYTES))
        plain = _xored(ciphertext, self._stream_ciphers.encrypt(counters)[: len(ciphertext)])
        text = _mac_input(plain, self._prefix(associated), self._whole, self._padded)
        if not hmac.compare_digest(tag, self._mac_chains.last_block(text)):
            raise InvalidSeal
        return plain

    def _associated_prefix(self, associated: tuple[bytes, ...]) -> int:
        """S2V over the associated data alone (RFC 5297, 2.4)."""
        value = self._mac(bytes(_BLOCK_BYTES))
        for text in associated:
            value = _doubled(value) ^ self._mac(text)
        return value

    def _mac(self, text: bytes) -> int:
        mac = CMAC(algorithms.AES(self._mac_secret))
        mac.update(text)
        return _number(mac.finalize())

    def _tags(self, plains: list[bytes], prefixes: list[int]) -> list[bytes]:
        """CMAC (RFC 4493) of each plaintext with its prefix added at its end, longest first."""
        encrypt = self._mac_ciphers.encrypt
        texts = [
            _mac_input(plain, prefix, self._whole, self._padded)
            for plain, prefix in zip(plains, prefixes, strict=True)
        ]
        tags = [b""] * len(texts)
        state, active, start = bytes(_BLOCK_BYTES * len(texts)), len(texts), 0
        while active:
            blocks = b"".join([text[start : start + _BLOCK_BYTES] for text in texts[:active]])
            state = encrypt(_xored(blocks, state))
            start += _BLOCK_BYTES
            while active and len(texts[active - 1]) == start:
                active -= 1
                tags[active] = state[_BLOCK_BYTES * active : _BLOCK_BYTES * (active + 1)]
            state = state[: _BLOCK_BYTES * active]
        return tags

    def _ciphertexts(self, plains: list[bytes], tags: list[bytes]) -> list[bytes]:
        """Counter mode from each tag on (RFC 5297, 2.5), all counters in one call."""
        counters = [
            _counters(_number(tag) & _COUNTER_MASK, -(-len(plain) // _BLOCK_BYTES))
            for plain, tag in zip(plains, tags, strict=True)
        ]
        stream = self._stream_ciphers.encrypt(b"".join(counters))
        used, start = [], 0
        for plain, blocks in zip(plains, counters, strict=True):
            used.append(stream[start : start + len(plain)])
            start += len(blocks)
        sealed = _xored(b"".join(plains), b"".join(used))  # in one go, and cut up afterwards
        ends = list(accumulate(map(len, plains)))
        return [sealed[start:end] for start, end in zip([0, *ends], ends, strict=False)]


class _Ciphers:
    """AES in whole blocks with one key: a context a thread, since two threads must not share one.

    Contexts are kept for the next caller; to make one costs as much as to seal two links.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._spare: list[CipherContext] = []

    def encrypt(self, blocks: bytes) -> bytes:
        """Encrypt each block of 16 bytes by itself."""
        try:
            context = self._spare.pop()
        except IndexError:
            context = Cipher(algorithms.AES(self._secret), modes.ECB()).encryptor()  # noqa: S305
        encrypted = context.update(blocks)
        self._spare.append(context)
        return encrypted


class _Chains:
    """AES-CBC from a zero block on, with one key, for CMAC (RFC 4493): a context a thread.

    A context cannot be set back, but it can be made to forget: what it adds to the next block is
    the last one that it has put out, so that one is added beforehand.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._spare: list[tuple[CipherContext, bytes, bytearray]] = []

    def last_block(self, text: bytes) -> bytes:
        """Encrypt whole blocks, each added to the one before; return the last."""
        try:
            context, state, room = self._spare.pop()
        except IndexError:
            # Room of its own, since `update` makes some for each call, and copies out of it.
            state, room = bytes(_BLOCK_BYTES), bytearray(MAX_BYTES + 2 * _BLOCK_BYTES)
            context = Cipher(algorithms.AES(self._secret), modes.CBC(state)).encryptor()
        first = _xored(text[:_BLOCK_BYTES], state)
        written = context.update_into(first + text[_BLOCK_BYTES:], room)
        last = bytes(room[written - _BLOCK_BYTES : written])
        self._spare.append((context, last, room))
        return last


def _mac_input(plain: bytes, prefix: int, whole: int, padded: int) -> bytes:
    """Return the blocks to encrypt one after the other: S2V's xorend, CMAC's last block.

    `whole` and `padded` are CMAC's two subkeys, for a text of whole blocks and for any other.
    """
    over = len(plain) % _BLOCK_BYTES
    if not over:
        last = _number(plain[-_BLOCK_BYTES:]) ^ prefix ^ whole
        return plain[:-_BLOCK_BYTES] + last.to_bytes(_BLOCK_BYTES, "big")
    # Padded, the end of the plaintext lies across the last two blocks.
    cut, missing = len(plain) - _BLOCK_BYTES - over, _BLOCK_BYTES - over
    end = (_number(plain[cut:]) ^ prefix) << 8 * missing ^ 0x80 << 8 * (missing - 1) ^ padded
    return plain[:cut] + end.to_bytes(2 * _BLOCK_BYTES, "big")


def _counters(first: int, blocks: int) -> bytes:
    """Return the counter blocks from `first` on, made in one multiplication.

    The mask left room for every carry (RFC 5297, 2.5), so that no block runs into its neighbour.
    """
    ones, steps = _ladder(blocks)
    return (first * ones + steps).to_bytes(_BLOCK_BYTES * blocks, "big")


@functools.lru_cache(maxsize=MAX_BYTES // _BLOCK_BYTES)
def _ladder(blocks: int) -> tuple[int, int]:
    """Return 1, 1, ... and 0, 1, 2, ... as numbers of `blocks` blocks."""
    places = [8 * _BLOCK_BYTES * (blocks - 1 - block) for block in range(blocks)]
    ones = sum(1 << place for place in places)
    return ones, sum(block << place for block, place in enumerate(places))


def _doubled(value: int) -> int:
    """Multiply by x in GF(2^128) (RFC 5297, 2.3)."""
    return (value << 1) & _BLOCK_MASK ^ (0x87 if value >> 127 else 0)


def _xored(left: bytes, right: bytes) -> bytes:
    return (_number(left) ^ _number(right)).to_bytes(len(left), "big")


def _number(block: bytes) -> int:
    return int.from_bytes(block, "big")
