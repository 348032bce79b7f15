"""A body that comes in chunks, and with its edits made, in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick_milter import gathered as module
from openclick_milter.gathered import GatheredBody
from openclick_milter.splice import Edit, apply
from unit.second_reader import no_deadline


def gathered(*chunks: bytes) -> GatheredBody:
    """Return a body that has come in these chunks."""
    body = GatheredBody()
    for chunk in chunks:
        body.add(chunk)
    return body


@given(st.lists(st.binary(max_size=50)))
def test_chunks_are_one_body(chunks: list[bytes]) -> None:
    """Wherever Postfix has cut it."""
    assert b"".join(chunks) == gathered(*chunks).content()


@no_deadline
@given(st.binary(max_size=200), st.integers(1, 250), st.data())
def test_pieces_together_are_what_apply_makes(
    body: bytes, piece_bytes: int, data: st.DataObject
) -> None:
    """Growing, shrinking, at the beginning, at the end, none at all; none of them is empty."""
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    edits = [
        Edit(start, body[start:end], data.draw(st.binary(max_size=40)))
        for start, end in zip(places[::2], places[1::2], strict=False)
    ]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE_BYTES", piece_bytes)
        pieces = list(gathered(body[:7], body[7:]).edited(edits))

    assert apply(body, edits) == b"".join(pieces)
    assert all(pieces) or not any(pieces)
    assert all(len(piece) < piece_bytes + 8 * 41 for piece in pieces)


def test_a_long_body_is_never_made_whole() -> None:
    """Only a piece at a time: 25 MB anew would cost more than all the rest."""
    attachment = b"QUJD\r\n" * 1_000_000
    body = gathered(b"<p>one</p>", attachment)

    first, *rest = body.edited([Edit(3, b"one", b"two hundred")])

    assert first.startswith(b"<p>two hundred</p>QUJD")
    assert b"<p>two hundred</p>" + attachment == first + b"".join(rest)
    assert max(map(len, (first, *rest))) <= 300_000
