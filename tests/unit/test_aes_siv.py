"""AES-SIV: the vectors of RFC 5297, and many at once as one by one."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given
from hypothesis import strategies as st

from openclick.aes_siv import InvalidSeal, SivKey

SECRET = bytes(range(64))
KEY = SivKey(SECRET)
ASSOCIATED = (b"\x00", b"c", b"track.kontor.example")

VECTORS = [
    pytest.param(
        "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0 f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
        ["101112131415161718191a1b1c1d1e1f2021222324252627"],
        "112233445566778899aabbccddee",
        "85632d07c6e8f37f950acd320a2ecc93 40c02b9690c4dc04daef7f6afe5c",
        id="A.1 deterministic",
    ),
    pytest.param(
        "7f7e7d7c7b7a79787776757473727170 404142434445464748494a4b4c4d4e4f",
        [
            "00112233445566778899aabbccddeeff deaddadadeaddadaffeeddccbbaa9988 7766554433221100",
            "102030405060708090a0",
            "09f911029d74e35bd84156c5635688c0",
        ],
        "7468697320697320736f6d6520706c61 696e7465787420746f20656e63727970 "
        "74207573696e67205349562d414553",
        "7bdb6e3b432667eb06f4d14bff2fbd0f cb900f2fddbe404326601965c889bf17 "
        "dba77ceb094fa663b7a3f748ba8af829 ea64ad544a272e9c485b62a3fd5c0d",
        id="A.2 nonce-based",
    ),
]


@pytest.mark.parametrize(("key", "associated", "plain", "sealed"), VECTORS)
def test_vectors_of_rfc_5297(key: str, associated: list[str], plain: str, sealed: str) -> None:
    """What Appendix A shows; one at a time, and side by side where the plaintext is long enough."""
    siv, text = SivKey(bytes.fromhex(key)), bytes.fromhex(plain)
    data = tuple(bytes.fromhex(each) for each in associated)

    assert [bytes.fromhex(sealed)] == siv.encrypt_many([text], [data])
    assert text == siv.decrypt(bytes.fromhex(sealed), data)
    if len(text) >= 16:
        assert [bytes.fromhex(sealed)] * 5 == siv.encrypt_side_by_side([text] * 5, [data] * 5)


@given(
    st.binary(min_size=32, max_size=32) | st.binary(min_size=64, max_size=64),
    st.lists(st.binary(min_size=1, max_size=40), max_size=4).map(tuple),
    st.lists(st.binary(min_size=16, max_size=200), min_size=1, max_size=12),
)
def test_many_side_by_side_are_what_the_library_makes_one_by_one(
    secret: bytes, associated: tuple[bytes, ...], plains: list[bytes]
) -> None:
    """Of any length from 16 bytes, in any mixture, with any associated data."""
    library = AESSIV(secret)
    one_by_one = [library.encrypt(plain, list(associated)) for plain in plains]

    assert one_by_one == SivKey(secret).encrypt_side_by_side(plains, [associated] * len(plains))
    assert one_by_one == SivKey(secret).encrypt_many(plains, [associated] * len(plains))


@pytest.mark.parametrize("length", [*range(16, 50), 2000, 4095, 4096])
def test_every_length_side_by_side(length: int) -> None:
    """Whole blocks and broken ones, where CMAC takes one subkey or the other."""
    plains = [bytes([n]) * length for n in range(4)]

    assert [AESSIV(SECRET).encrypt(p, list(ASSOCIATED)) for p in plains] == (
        KEY.encrypt_side_by_side(plains, [ASSOCIATED] * 4)
    )


@pytest.mark.parametrize("length", [1, 15, 4097, 1_000_000])
def test_lengths_that_no_link_has(length: int) -> None:
    """Sealed one by one, in linear time."""
    plains = [bytes([n]) * length for n in range(4)]

    assert [AESSIV(SECRET).encrypt(p, list(ASSOCIATED)) for p in plains] == (
        KEY.encrypt_many(plains, [ASSOCIATED] * 4)
    )


def test_nothing_to_seal() -> None:
    """No plaintext, no ciphertext."""
    assert [] == KEY.encrypt_many([], [])
    assert [] == KEY.encrypt_side_by_side([], [])


def test_what_was_sealed_for_something_else_does_not_open() -> None:
    """Other associated data, another key, a changed bit: InvalidSeal."""
    (sealed,) = KEY.encrypt_many([b"sixteen bytes or more"], [ASSOCIATED])
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])

    for key, text, associated in (
        (KEY, sealed, (*ASSOCIATED[:2], b"track.other.example")),
        (SivKey(SECRET[::-1]), sealed, ASSOCIATED),
        (KEY, changed, ASSOCIATED),
    ):
        with pytest.raises(InvalidSeal):
            key.decrypt(text, associated)


@pytest.mark.parametrize("length", [0, 16, 63, 65])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    """A short key would seal with less than was promised."""
    with pytest.raises(ValueError, match="AESSIV key must be"):
        SivKey(bytes(length))


@given(
    st.binary(min_size=32, max_size=32) | st.binary(min_size=64, max_size=64),
    st.lists(st.binary(min_size=1, max_size=40), max_size=4).map(tuple),
    st.lists(st.binary(min_size=16, max_size=200), min_size=1, max_size=6),
)
def test_what_the_library_sealed_opens_in_two_calls(
    secret: bytes, associated: tuple[bytes, ...], plains: list[bytes]
) -> None:
    """One after another with the same contexts, whatever was opened before."""
    library, key = AESSIV(secret), SivKey(secret)

    for plain in plains:
        sealed = library.encrypt(plain, list(associated))

        assert plain == key.decrypt_in_two_calls(sealed, associated)


@given(st.binary(min_size=16, max_size=200), st.data())
def test_what_was_changed_does_not_open_in_two_calls(plain: bytes, data: st.DataObject) -> None:
    """Any changed byte is refused, and the next one opens all the same."""
    sealed = AESSIV(SECRET).encrypt(plain, list(ASSOCIATED))
    place = data.draw(st.integers(0, len(sealed) - 1))
    change = data.draw(st.integers(1, 255))
    forged = sealed[:place] + bytes([sealed[place] ^ change]) + sealed[place + 1 :]

    with pytest.raises(InvalidSeal):
        KEY.decrypt_in_two_calls(forged, ASSOCIATED)

    assert plain == KEY.decrypt_in_two_calls(sealed, ASSOCIATED)


def test_other_associated_data_do_not_open_in_two_calls() -> None:
    """A token of another domain, kind or key."""
    sealed = AESSIV(SECRET).encrypt(b"x" * 40, list(ASSOCIATED))

    for place in range(3):
        other = tuple(b"?" if place == number else each for number, each in enumerate(ASSOCIATED))
        with pytest.raises(InvalidSeal):
            KEY.decrypt_in_two_calls(sealed, other)


def test_threads_open_side_by_side() -> None:
    """A context is nobody else's while it is in use."""
    library = AESSIV(SECRET)
    plains = [bytes([number]) * (20 + number) for number in range(100)]
    sealed = [library.encrypt(plain, list(ASSOCIATED)) for plain in plains]

    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda one: KEY.decrypt_in_two_calls(one, ASSOCIATED), sealed * 20))

    assert plains * 20 == opened
