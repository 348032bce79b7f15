"""Tokens: what is sealed comes out exactly, and nothing that was not sealed comes out at all."""

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick.tokens import (
    BadToken,
    KeyRing,
    Kind,
    Token,
    UnknownKey,
    tracking_path,
)
from unit.samples import COPY, DESTINATION, EMAIL_ID, TRACKING_DOMAIN, key

RING = KeyRing({0: key(0)})
ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
CLICK = Token(EMAIL_ID, COPY, 7, DESTINATION)
OPEN = Token(EMAIL_ID, COPY)
SEALED_CLICK = RING.seal(Kind.CLICK, TRACKING_DOMAIN, CLICK)
SEALED_OPEN = RING.seal(Kind.OPEN, TRACKING_DOMAIN, OPEN)

CLICKS = st.builds(
    Token,
    email_id=st.binary(min_size=16, max_size=16),
    copy=st.binary(min_size=4, max_size=4),
    link_index=st.integers(0, 65_535),
    destination=st.builds(
        str.__add__, st.sampled_from(["http://", "https://", "HTTPS://"]), st.text()
    ),
    flags=st.integers(0, 255),
)


def raw(text: str) -> bytes:
    """Return the bytes of a token."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def spelled(raw_token: bytes) -> str:
    """Write bytes as a token's text."""
    return base64.urlsafe_b64encode(raw_token).rstrip(b"=").decode()


@given(CLICKS)
def test_a_click_comes_out_as_it_was_sealed(token: Token) -> None:
    """Every field, and the destination to the last character."""
    text = RING.seal(Kind.CLICK, TRACKING_DOMAIN, token)

    assert token == RING.open(Kind.CLICK, TRACKING_DOMAIN, text)
    assert set(text) <= set(ALPHABET)


def test_an_open_comes_out_as_it_was_sealed() -> None:
    """An open image carries ids and no destination."""
    assert OPEN == RING.open(Kind.OPEN, TRACKING_DOMAIN, SEALED_OPEN)


def test_sealing_is_deterministic() -> None:
    """The same link of the same copy is the same token, so that rewriting twice differs nowhere."""
    assert SEALED_CLICK == RING.seal(Kind.CLICK, TRACKING_DOMAIN, CLICK)


def test_copies_differ() -> None:
    """Another copy of the mail has tokens of its own."""
    other = Token(EMAIL_ID, b"ypoc", 7, DESTINATION)

    assert SEALED_CLICK != RING.seal(Kind.CLICK, TRACKING_DOMAIN, other)


def test_a_token_is_short() -> None:
    """A destination of 100 characters makes a tracking link of less than 250 (DESIGN 4)."""
    token = Token(EMAIL_ID, COPY, 0, "https://shop.kontor.example/".ljust(100, "x"))

    assert 187 == len(RING.seal(Kind.CLICK, TRACKING_DOMAIN, token))


def test_a_token_shows_nothing() -> None:
    """Neither the destination nor an id can be read from it."""
    sealed = raw(SEALED_CLICK)

    assert EMAIL_ID not in sealed
    assert b"kontor" not in sealed


@given(st.integers(0, len(raw(SEALED_CLICK)) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(place: int, change: int) -> None:
    """Nothing can be forged by altering what was sealed."""
    forged = bytearray(raw(SEALED_CLICK))
    forged[place] ^= change

    with pytest.raises(BadToken):
        RING.open(Kind.CLICK, TRACKING_DOMAIN, spelled(bytes(forged)))


@given(st.integers(0, len(SEALED_CLICK) - 1), st.sampled_from(ALPHABET))
def test_any_changed_character_is_refused(place: int, char: str) -> None:
    """Not even one that decodes to the same bytes: the last character has spare bits."""
    forged = SEALED_CLICK[:place] + char + SEALED_CLICK[place + 1 :]

    if forged != SEALED_CLICK:
        with pytest.raises(BadToken):
            RING.open(Kind.CLICK, TRACKING_DOMAIN, forged)


@given(st.integers(0, len(SEALED_CLICK) - 1))
def test_a_cut_token_is_refused(length: int) -> None:
    """A link that a mail client broke over two lines leads nowhere rather than somewhere else."""
    with pytest.raises(BadToken):
        RING.open(Kind.CLICK, TRACKING_DOMAIN, SEALED_CLICK[:length])


@given(st.text(ALPHABET, min_size=1, max_size=12))
def test_a_lengthened_token_is_refused(more: str) -> None:
    """Characters of the alphabet belong to the token."""
    with pytest.raises(BadToken):
        RING.open(Kind.CLICK, TRACKING_DOMAIN, SEALED_CLICK + more)


@given(st.characters())
def test_junk_after_the_token_is_tolerated(char: str) -> None:
    """Whatever a mail client or a scanner hangs on, the leading run of the alphabet counts."""
    if char not in ALPHABET:
        found = RING.open(Kind.CLICK, TRACKING_DOMAIN, f"{SEALED_CLICK}{char}abc")

        assert CLICK == found


@pytest.mark.parametrize("junk", ["?utm=1", "%27", "'", "&x", "/", ".", "=", "==", " ", "\u00ad"])
def test_junk_as_seen_in_the_wild(junk: str) -> None:
    """Added queries, quotes, padding, punctuation of a plain-text reader."""
    assert CLICK == RING.open(Kind.CLICK, TRACKING_DOMAIN, SEALED_CLICK + junk)


def test_another_spelling_of_the_same_bytes_is_refused() -> None:
    """Only the canonical base64 opens: one link is one text (RFC 4648, 3.5)."""
    token = next(
        text
        for length in range(3)
        if len(
            text := RING.seal(Kind.OPEN, TRACKING_DOMAIN, Token(EMAIL_ID, COPY, 0, "x" * length))
        )
        % 4
        == 3
    )
    last = ALPHABET[ALPHABET.index(token[-1]) | 1]

    assert raw(token) == raw(token[:-1] + last)
    with pytest.raises(BadToken, match="not canonical"):
        RING.open(Kind.OPEN, TRACKING_DOMAIN, token[:-1] + last)


@pytest.mark.parametrize(
    "text",
    ["", "?", "/", "%41", "A", "AA", "AAAA", "A" * 52, "+/+/", "ä", "A" * 2000],
)
def test_garbage_is_refused(text: str) -> None:
    """Any text is answered by BadToken and nothing else."""
    with pytest.raises(BadToken):
        RING.open(Kind.CLICK, TRACKING_DOMAIN, text)


@given(st.text(ALPHABET, max_size=300))
def test_no_text_opens_by_chance(text: str) -> None:
    """Without the key nothing is made that opens."""
    with pytest.raises(BadToken):
        RING.open(Kind.CLICK, TRACKING_DOMAIN, text)


@pytest.mark.parametrize("domain", ["track.other.example", "kontor.example", "", "track"])
def test_another_domain_is_refused(domain: str) -> None:
    """A token opens on its own tracking domain alone."""
    with pytest.raises(BadToken, match="does not open"):
        RING.open(Kind.CLICK, domain, SEALED_CLICK)


def test_another_kind_is_refused() -> None:
    """An image's token is no link, and a link's is no image."""
    with pytest.raises(BadToken, match="does not open"):
        RING.open(Kind.OPEN, TRACKING_DOMAIN, SEALED_CLICK)
    with pytest.raises(BadToken, match="does not open"):
        RING.open(Kind.CLICK, TRACKING_DOMAIN, SEALED_OPEN)


def test_another_key_under_the_same_id_is_refused() -> None:
    """The id only finds the key; the key decides."""
    with pytest.raises(BadToken, match="does not open"):
        KeyRing({0: key(1)}).open(Kind.CLICK, TRACKING_DOMAIN, SEALED_CLICK)


def test_unknown_key_is_told_apart() -> None:
    """It is the one fault that re-reading the directory may mend."""
    with pytest.raises(UnknownKey, match="key id 0 is unknown") as caught:
        KeyRing({5: key(5)}).open(Kind.CLICK, TRACKING_DOMAIN, SEALED_CLICK)

    assert caught.value.key_id == 0


def test_the_newest_key_seals_and_old_ones_open() -> None:
    """A rotation breaks no link that was sent before it."""
    ring = KeyRing({0: key(0), 255: key(2), 3: key(3)})

    fresh = ring.seal(Kind.CLICK, TRACKING_DOMAIN, CLICK)

    assert 255 == raw(fresh)[0] == ring.sealing_id
    assert (0, 3, 255) == ring.key_ids
    assert CLICK == ring.open(Kind.CLICK, TRACKING_DOMAIN, fresh)
    assert CLICK == ring.open(Kind.CLICK, TRACKING_DOMAIN, SEALED_CLICK)


def test_a_ring_needs_a_key() -> None:
    """An empty ring would seal nothing, and nobody would notice."""
    with pytest.raises(ValueError, match="needs a key"):
        KeyRing({})


@pytest.mark.parametrize(
    "destination",
    [
        "",
        "javascript:alert(1)",
        "data:text/html,x",
        "mailto:a@b",
        "//host/",
        "ftp://a/",
        " http://a/",
    ],
)
def test_only_web_destinations_are_sealed(destination: str) -> None:
    """No link of ours can ever lead to anything but http and https."""
    with pytest.raises(ValueError, match="only http and https"):
        RING.seal(Kind.CLICK, TRACKING_DOMAIN, Token(EMAIL_ID, COPY, 0, destination))


@pytest.mark.parametrize(
    "token",
    [
        Token(EMAIL_ID[1:], COPY, 0, DESTINATION),
        Token(EMAIL_ID, COPY + b"x", 0, DESTINATION),
        Token(EMAIL_ID, COPY, 0, DESTINATION, 256),
        Token(EMAIL_ID, COPY, 0, "https://a/\ud800"),
    ],
)
def test_what_has_no_place_is_not_sealed(token: Token) -> None:
    """A value that does not fit is refused, never cut."""
    with pytest.raises(ValueError):  # noqa: PT011 - Python's own words differ
        RING.seal(Kind.CLICK, TRACKING_DOMAIN, token)


def test_a_sealed_destination_that_is_no_web_address_is_not_served() -> None:
    """Even where somebody holds the key (an older or foreign program), the scheme is checked."""
    sealed_as_link = KeyRing({0: key(0)})
    cipher = sealed_as_link._ciphers[0]
    plain = EMAIL_ID + COPY + b"\0\0" + b"\0" + b"javascript:alert(1)"
    (sealed,) = cipher.encrypt_many([plain], [(b"\0", b"c", TRACKING_DOMAIN.encode())])
    text = spelled(b"\0" + sealed)

    with pytest.raises(BadToken, match="neither http nor https"):
        RING.open(Kind.CLICK, TRACKING_DOMAIN, text)


def test_the_format_is_what_is_written_down() -> None:
    """Links live for ever: this token was sealed by version 1 and must open in every later one."""
    text = (
        "ADP2C1OrGhhdQE88AKhCkwPfC9YCfERTc5stqa4aUXvXItVW2GVssw"
        "Bq22xy47ZlsRs2MwITWhZsvAxRiQUpi9PvUloSVkv0rieFc_pUKd4_"
    )

    assert CLICK == RING.open(Kind.CLICK, TRACKING_DOMAIN, text)


def test_paths() -> None:
    """The kind stands before the token."""
    assert "/c/TOKEN" == tracking_path(Kind.CLICK, "TOKEN")
    assert "/o/TOKEN" == tracking_path(Kind.OPEN, "TOKEN")
