"""Which email_id a copy gets: derived over a split, or fresh."""

import pytest

from openclick.ids import new_email_id
from openclick.instants import SECOND
from openclick.tokens import KEY_BYTES, KeyRing
from openclick_milter.identity import split_email_id
from openclick_milter.received import FirstPass

RING = KeyRing({0: bytes(range(KEY_BYTES))})
OTHER = KeyRing({0: bytes(KEY_BYTES)})
EMAIL_ID = new_email_id(1_700_000_000 * SECOND, b"0123456789")
FIRST = FirstPass("4jYM5k0abcz", None, 1_700_000_000 * SECOND)
NOW = 1_700_000_100 * SECOND


def test_copies_of_one_message_share_an_id() -> None:
    """The same first queue id and Message-ID give the same id, whenever the copy passes."""
    one = split_email_id(FIRST, "<a@b>", RING, NOW)
    two = split_email_id(FIRST, "<a@b>", RING, NOW + 60 * SECOND)

    assert one == two
    assert (7, 2) == (one[6] >> 4, one[8] >> 6)
    assert new_email_id(1_700_000_000 * SECOND, bytes(10))[:6] == one[:6]


@pytest.mark.parametrize(
    ("age_seconds", "believed"),
    [
        (0, True),
        (7 * 86_400, True),
        (7 * 86_400 + 1, False),
        (50 * 365 * 86_400, False),
        (-1, False),
        (-(10**9), False),
    ],
)
def test_only_a_date_of_the_last_week_is_believed(age_seconds: int, believed: bool) -> None:
    """Whoever reaches a trusted listener writes that field: the sweep must not follow it."""
    received_at = NOW - age_seconds * SECOND
    first = FirstPass(FIRST.queue_id, None, received_at)

    email_id = split_email_id(first, "<a@b>", RING, NOW)

    assert new_email_id(received_at if believed else NOW, bytes(10))[:6] == email_id[:6]


def test_a_copy_without_a_date_gets_todays() -> None:
    """The first Received field need not have one."""
    email_id = split_email_id(FirstPass(FIRST.queue_id, None, None), "<a@b>", RING, NOW)

    assert new_email_id(NOW, bytes(10))[:6] == email_id[:6]


def test_other_messages_have_other_ids() -> None:
    """Another queue id, another Message-ID or another key gives another id."""
    ids = {
        split_email_id(FIRST, "<a@b>", RING, NOW),
        split_email_id(FIRST, "<c@b>", RING, NOW),
        split_email_id(FirstPass("4jYM5k0abcy", None, FIRST.received_at), "<a@b>", RING, NOW),
        split_email_id(FIRST, "<a@b>", OTHER, NOW),
        split_email_id(FIRST, None, RING, NOW),
    }

    assert 5 == len(ids)
