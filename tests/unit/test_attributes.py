"""The attribute decoder: what a browser would hold for an href."""

from __future__ import annotations

import html
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick_milter.attributes import decode_attribute
from unit.second_reader import CORPUS, NO_CORPUS, no_deadline


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("?a=1&amp;b=2", "?a=1&b=2"),
        ("?a=1&#38;b=2", "?a=1&b=2"),
        ("?a=1&#x26;b=2", "?a=1&b=2"),
        ("?a=1&#X26b=2", "?a=1\u026b=2"),
        ("?a=1&copy=2", "?a=1&copy=2"),
        ("?a=1&copyright=2", "?a=1&copyright=2"),
        ("?a=1&copy;=2", "?a=1\u00a9=2"),
        ("?a=1&copy", "?a=1\u00a9"),
        ("?a=1&copy/", "?a=1\u00a9/"),
        ("?a=1&reg=de&lang=en&sect=3", "?a=1&reg=de&lang=en&sect=3"),
        ("&notit;", "&notit;"),
        ("&notin;", "\u2209"),
        ("&unknown;", "&unknown;"),
        ("a&b", "a&b"),
        ("&", "&"),
        ("&;", "&;"),
        ("&#;", "&#;"),
        ("&#x;", "&#x;"),
        ("&amp;amp;", "&amp;"),
        ("&amp;#38;", "&#38;"),
        ("&#0;", "\ufffd"),
        ("&#xD800;", "\ufffd"),
        ("&#x110000;", "\ufffd"),
        ("&#x000000000041;", "A"),
        ("&#128;", "\u20ac"),
        ("&#x9F;", "\u0178"),
        ("&#129;", "\x81"),
        ("&#38#38;", "&#38;"),
        ("&NotEqualTilde;", "\u2242\u0338"),
    ],
)
def test_reference_in_an_attribute(written: str, meant: str) -> None:
    """Each form of reference is decoded exactly as WHATWG says for attributes, and once."""
    assert meant == decode_attribute(written)


def test_number_of_absurd_length() -> None:
    """A number of many digits is the replacement character, and takes no time to speak of."""
    digits = "9" * 1_000_000

    found = decode_attribute(f"&#{digits};&#x{digits};")

    assert found == "\ufffd\ufffd"


@no_deadline
@given(st.text())
def test_text_without_ampersand(text: str) -> None:
    """What holds no reference stays as it is."""
    text = text.replace("&", "")

    assert text == decode_attribute(text)


@no_deadline
@given(st.text(alphabet="&#xX;=ab01 copyampltgt", max_size=30))
def test_agrees_with_the_tokenizer(value: str) -> None:
    """The result is what turbohtml's tokenizer reports for the same attribute."""
    turbohtml = pytest.importorskip("turbohtml", reason="turbohtml is not in Debian; pip has it")

    (tag,) = list(turbohtml.tokenize(f'<a href="{value}">'))

    assert tag.attr("href") == decode_attribute(value)


@no_deadline
@given(st.lists(st.sampled_from(["&amp;", "&lt;", "&#38;", "&quot;", "x", "/", " "])))
def test_agrees_with_html_unescape(pieces: list[str]) -> None:
    """Where every reference has its semicolon, attribute and text rule are the same."""
    value = "".join(pieces)

    assert html.unescape(value) == decode_attribute(value)


@pytest.mark.skipif(not CORPUS.is_dir(), reason=NO_CORPUS)
@pytest.mark.parametrize("name", ["namedEntities.test", "numericEntities.test", "entities.test"])
def test_references_of_html5lib(name: str) -> None:
    """The reference cases of html5lib that stand inside an attribute come out as expected."""
    cases = json.loads((CORPUS / "html5lib-tokenizer" / name).read_text())["tests"]
    count = 0
    for case in cases:
        for token in case["output"]:
            if token[0] != "StartTag" or not case["input"].startswith("<h a='"):
                continue
            count += 1
            (value,) = token[2].values()
            assert value == decode_attribute(case["input"][6:].partition("'")[0])
    assert count or name != "entities.test"
