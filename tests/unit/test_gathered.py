"""A body that comes in chunks, and its edits made in place."""

from hypothesis import given
from hypothesis import strategies as st

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
@given(st.binary(max_size=200), st.data())
def test_edits_in_place_are_what_apply_makes(body: bytes, data: st.DataObject) -> None:
    """Growing, shrinking, at the beginning, at the end, none at all."""
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    edits = [
        Edit(start, body[start:end], data.draw(st.binary(max_size=40)))
        for start, end in zip(places[::2], places[1::2], strict=False)
    ]

    assert apply(body, edits) == gathered(body[:7], body[7:]).edited(edits)


def test_who_holds_the_original_keeps_it() -> None:
    """The message row and the log are written from it; it must not change under them."""
    body = gathered(b"<p>one</p>", b"tail" * 100)
    held = body.content()

    edited = body.edited([Edit(3, b"one", b"two hundred")])

    assert b"<p>one</p>" + b"tail" * 100 == held
    assert b"<p>two hundred</p>" + b"tail" * 100 == edited
