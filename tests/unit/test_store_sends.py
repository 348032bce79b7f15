"""What the store remembers of sends: claims, acceptances, first answers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from openclick.sends import KEPT, Acceptance, Claim, Claimed, FirstAnswer, Withdrawal
from openclick.store import open_store
from openclick.store.sends import SendBook

IDS = (b"a" * 16, b"b" * 16)
CLAIM = Claim("key_1", "order-17", b"d" * 32, IDS, 1_000)
ANSWER = FirstAnswer(CLAIM.name, 202, b'{"id":"email_1"}')


@pytest.fixture
def sends(tmp_path: Path) -> Iterator[SendBook]:
    """Return the book of a new store."""
    registry = open_store(f"sqlite:{tmp_path}").registry()
    yield registry.sends
    registry.close()


def test_a_new_claim(sends: SendBook) -> None:
    """It is to be carried out with its own ids."""
    claimed = sends.write([CLAIM])

    assert claimed == [Claimed(False, None, IDS, frozenset(), 1_000)]


def test_a_claim_in_doubt_keeps_its_ids(sends: SendBook) -> None:
    """What Postfix has taken is named, and the rest goes out with the ids of the first time."""
    again = replace(CLAIM, email_ids=(b"x" * 16, b"y" * 16), claimed_at=2_000)
    sends.write([CLAIM, Acceptance(CLAIM.name, 1, 1_500)])

    claimed = sends.write([again])

    assert claimed == [Claimed(False, None, IDS, frozenset({1}), 1_000)]


def test_an_answered_claim(sends: SendBook) -> None:
    """A repeat gets the very answer."""
    sends.write([CLAIM, Acceptance(CLAIM.name, 0, 1_500), ANSWER])

    [claimed] = sends.write([CLAIM])

    assert claimed is not None
    assert ANSWER == claimed.answer


def test_another_body(sends: SendBook) -> None:
    """The name of one request does not serve for another."""
    sends.write([CLAIM])

    [claimed] = sends.write([replace(CLAIM, digest=b"e" * 32)])

    assert claimed is not None
    assert claimed.mismatch


def test_another_api_key(sends: SendBook) -> None:
    """Names are each API key's own."""
    sends.write([CLAIM, ANSWER])

    [claimed] = sends.write([replace(CLAIM, api_key_id="key_2", digest=b"e" * 32)])

    assert claimed == Claimed(False, None, IDS, frozenset(), 1_000)


@pytest.mark.parametrize(("later", "is_new"), [(KEPT - 1, False), (KEPT, True)])
def test_a_day_later(sends: SendBook, later: int, is_new: bool) -> None:
    """After 24 hours the name is free again, swept or not."""
    sends.write([CLAIM, ANSWER])

    [claimed] = sends.write([replace(CLAIM, claimed_at=CLAIM.claimed_at + later)])

    assert claimed is not None
    assert (claimed.answer is None) is is_new


def test_a_withdrawn_claim(sends: SendBook) -> None:
    """Nothing came of it: its name may be used for something else."""
    sends.write([CLAIM, Withdrawal(CLAIM.name)])

    [claimed] = sends.write([replace(CLAIM, digest=b"e" * 32)])

    assert claimed == Claimed(False, None, IDS, frozenset(), 1_000)


def test_old_claims_are_swept(sends: SendBook) -> None:
    """In steps, the oldest first, their intents with them."""
    sends.write([replace(CLAIM, idempotency_key=str(n), claimed_at=n) for n in range(5)])

    swept = [sends.sweep(4, 3), sends.sweep(4, 3), sends.sweep(4, 3)]
    [claimed] = sends.write([replace(CLAIM, idempotency_key="4", claimed_at=9)])

    assert swept == [3, 1, 0]
    assert claimed is not None
    assert claimed.claimed_at == 4
