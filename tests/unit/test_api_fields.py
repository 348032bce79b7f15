"""Reading JSON bodies: what is wrong is told by field, all of it at once."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick_sidecar.api.faults import ApiFault
from openclick_sidecar.api.fields import Fields, Problems, read_object, text_problem


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe{}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"1" * 5000 + b"}",
    ],
    ids=range(11),
)
def test_no_json_object(raw: bytes) -> None:
    """A 422 that says so; neither depth nor digits are anybody's fault but the sender's."""
    with pytest.raises(ApiFault) as caught:
        read_object(raw)

    assert (caught.value.status, caught.value.kind) == (422, "validation_error")


def test_a_json_object() -> None:
    """As it is."""
    assert read_object(b'{"a": [1, true, null, "\xc3\xbc"]}') == {"a": [1, True, None, "ü"]}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("text", None),
        ("Grüße 🙂", None),
        (7, "need a text"),
        (True, "need a text"),
        ("", "has 0 characters; need 1 to 9"),
        ("0123456789", "has 10 characters; need 1 to 9"),
        ("a\r\nb", "holds a control character"),
        ("a\nb", "holds a control character"),
        ("a\x85b", "holds a control character"),
        ("a\u2029b", "holds a control character"),
        ("a\0b", "holds a control character"),
        ("a\ud800b", "holds half a character (a lone surrogate)"),
    ],
)
def test_texts(value: Any, problem: str | None) -> None:
    """One line of whole characters, neither empty nor too long."""
    assert text_problem(value, 9) == problem


def test_texts_of_several_lines() -> None:
    """May hold what ends a line, but no NUL."""
    assert text_problem("a\r\nb\tc", 9, multiline=True) is None
    assert text_problem("a\0b", 9, multiline=True) == "holds a control character"


def test_all_that_is_wrong() -> None:
    """Each field with its problem, also those that there are not, in one answer."""
    problems = Problems()
    value = {"flag": "yes", "list": [1, 2, 3], "inner": {"flag": 1}, "else": None, "more": 1}
    fields = Fields(value, problems)

    fields.text("name", 9, required=True)
    fields.boolean("flag")
    fields.items("list", 2)
    inner = fields.object("inner")
    assert inner is not None
    inner.boolean("flag")
    fields.refuse({"else": "no use", "more": "no use"})
    fields.end()

    with pytest.raises(ApiFault) as caught:
        problems.check()
    assert caught.value.errors == {
        "name": ["is required"],
        "flag": ["need true or false"],
        "list": ["has 3 entries; need 0 to 2"],
        "inner.flag": ["need true or false"],
        "more": ["no use"],
    }
    assert caught.value.message == "The body is not valid: name: is required (and 4 more)."


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_no_reader_minds_what_it_gets(value: Any) -> None:
    """Whatever stands where something else is needed, it is a problem and no exception."""
    fields = Fields(json.loads(json.dumps({"a": value})), Problems())

    fields.text("a", 9)
    fields.boolean("a")
    fields.items("a", 9)
    fields.object("a")
    fields.label("a", lambda text: text == "a", "need a")
    fields.end()
