"""X-OpenClick-Id: which email_id is vouched for, and which is not."""

from openclick.ids import format_email_id, new_email_id
from openclick.instants import SECOND
from openclick.sealed_ids import read_sealed_header, sealed_header
from openclick.tokens import KEY_BYTES, KeyRing

RING = KeyRing({0: bytes(range(KEY_BYTES))})
OTHER = KeyRing({0: bytes(KEY_BYTES)})
EMAIL_ID = new_email_id(1_700_000_000 * SECOND, b"0123456789")


def test_our_own_header_is_believed() -> None:
    """X-OpenClick-Id with our MAC gives the id that it names."""
    value = sealed_header(EMAIL_ID, RING)

    assert EMAIL_ID == read_sealed_header(value, RING)


def test_forged_headers_are_ignored() -> None:
    """Another key's MAC, a changed id, no MAC, rubbish: none of them is believed."""
    text, _, mac = sealed_header(EMAIL_ID, RING).partition(" ")
    changed = format_email_id(new_email_id(1_700_000_001 * SECOND, b"0123456789"))

    for value in (
        sealed_header(EMAIL_ID, OTHER),
        f"{changed} {mac}",
        text,
        f"{text} ",
        f"{text} é{mac}",
        "",
        "\udcff",
    ):
        assert read_sealed_header(value, RING) is None


def test_rotation_keeps_what_was_vouched_for() -> None:
    """The key is derived from the oldest token key, so that a newer one changes nothing."""
    rotated = KeyRing({0: bytes(range(KEY_BYTES)), 1: bytes(KEY_BYTES)})

    assert EMAIL_ID == read_sealed_header(sealed_header(EMAIL_ID, RING), rotated)
