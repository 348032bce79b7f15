"""A Content-Type as the parts' reader takes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick_milter.parts import ContentType, parse_content_type
from openclick_milter.reasons import Reason
from unit.second_reader import no_deadline


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ContentType()),
        ("\n text/html", ContentType("text/html")),
        ('Text/HTML;\n\tCharset="ISO-8859-1"', ContentType("text/html", "iso-8859-1")),
        ("text/html; charset=utf-8;", ContentType("text/html", "utf-8")),
        ("text/html; charset*=us-ascii''utf%2D8", ContentType("text/html", "utf-8")),
        ('multipart/mixed; boundary="a b;c"', ContentType("multipart/mixed", "", b"a b;c")),
        ('multipart/mixed; boundary="a "', ContentType("multipart/mixed", "", b"a")),
        ("multipart/mixed; boundary*0=a; boundary*1=b", ContentType("multipart/mixed", "", b"ab")),
        ("html", ContentType("html", fault=Reason.BAD_CONTENT_TYPE)),
        ("text/html; name=\udcff", ContentType("text/html", fault=Reason.BAD_CONTENT_TYPE)),
        (
            "text/html; charset=a; charset=b",
            ContentType("text/html", fault=Reason.DUPLICATE_PARAMETER),
        ),
    ],
)
def test_content_type(value: str, expected: ContentType) -> None:
    """Type, charset and boundary are read in every form that real mail has."""
    assert expected == parse_content_type(value)


@no_deadline
@given(st.text(max_size=80), st.text(alphabet="boundarychset*=;'\"% 0123\\/", max_size=60))
def test_any_content_type(name: str, parameters: str) -> None:
    """Whatever the field says: an answer, never an exception."""
    parse_content_type(name + "; " + parameters)
    parse_content_type("text/html; " + parameters)
