"""Identifiers: how they are made and written."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick.ids import (
    email_id_instant,
    event_id,
    format_email_id,
    new_email_id,
    new_hit_id,
    parse_email_id,
)
from unit.samples import EMAIL_ID, EMAIL_ID_TEXT, NOW


def test_email_id_is_a_uuid_of_version_7() -> None:
    """The first 48 bits are milliseconds, so that ids sort by time (RFC 9562, 5.7)."""
    raw = uuid.UUID(bytes=new_email_id(NOW, b"\xff" * 10))

    assert 7 == raw.version
    assert uuid.RFC_4122 == raw.variant
    assert NOW // 1000 == raw.int >> 80


def test_hit_ids_sort_by_time() -> None:
    """So that the indexes that hold them grow at their end; two of one moment still differ."""
    first, second = new_hit_id(NOW, b"\xff" * 10), new_hit_id(NOW + 1000, b"\0" * 10)

    assert first < second
    assert {16} == {len(first), len(second)}
    assert first != new_hit_id(NOW, b"\xfe" * 10)


def test_email_id_keeps_74_random_bits() -> None:
    """All but version and variant of the ten bytes is random."""
    ones, zeros = new_email_id(NOW, b"\xff" * 10), new_email_id(NOW, b"\x00" * 10)
    differing = int.from_bytes(ones, "big") ^ int.from_bytes(zeros, "big")

    assert 74 == differing.bit_count()


def test_email_id_needs_ten_random_bytes() -> None:
    """Too little randomness is a fault of the caller, not a weaker id."""
    with pytest.raises(ValueError, match="10 random bytes"):
        new_email_id(NOW, b"short")


def test_email_id_as_text() -> None:
    """Events, the command and the API write email_ and a UUID."""
    assert EMAIL_ID_TEXT == format_email_id(EMAIL_ID)
    assert EMAIL_ID == parse_email_id(EMAIL_ID_TEXT)


@given(st.binary(min_size=16, max_size=16))
def test_email_id_round_trip(raw: bytes) -> None:
    """Any 16 bytes are written and read back."""
    assert raw == parse_email_id(format_email_id(raw))


@given(st.integers(0, 2**48 - 1))
def test_the_instant_of_an_email_id(milliseconds: int) -> None:
    """Whole milliseconds are kept, so the judge knows when a message was submitted."""
    made = new_email_id(milliseconds * 1000 + 999, bytes(10))

    assert milliseconds * 1000 == email_id_instant(made)


@pytest.mark.parametrize(
    "text",
    ["", EMAIL_ID_TEXT[6:], EMAIL_ID_TEXT.upper(), EMAIL_ID_TEXT + "\n", "email_" + "0" * 32],
)
def test_no_email_id(text: str) -> None:
    """Only the one spelling is read."""
    with pytest.raises(ValueError, match="is no email id"):
        parse_email_id(text)


def test_event_id_derives_from_the_hit() -> None:
    """The same hit is always the same event, so that a receiver can drop a repetition."""
    assert "evt_" + "0" * 31 + "1" == event_id((1).to_bytes(16, "big"))
