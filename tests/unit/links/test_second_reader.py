"""The link scanner finds what a tokenizer finds, on any jumble and on cases of others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclick_milter.links import EndedIn, scan
from unit.links.link_readers import (
    hrefs_by_tokenizer,
    hrefs_by_us,
)
from unit.second_reader import CORPUS, NO_CORPUS

PIECES = """
    < </ <! <!-- --> --!> -> > - ! <!--> <!---> / = ' " & &amp; &copy= x é href href= title='
    title=" =" =' <a <A <area <b </b </a> <a> href=x href='y' href="z" <p <br/> <style </style
    <style> </style> <script> </script> <script </script <title> </title> <textarea> </textarea>
    <xmp>
    </xmp> <iframe> </iframe> <noembed> </noembed> <noframes> </noframes> <noscript> </noscript>
    <template> <plaintext> <body> </body> </body <html> </html> <? ]]> <!DOCTYPE
"""
FRAGMENTS = st.sampled_from(PIECES.split())
SPACES = st.sampled_from([" ", " ", "\n", "\t", "\f", "\0", "\v", "<a\nhref=1>"])
# Attributes by the dozen: the pattern takes a tag in steps, and one that ends must hide no href.
RUNS = st.builds(
    str.__mul__, st.sampled_from([" x=y", ' x="y"', " x", "/x", " x='>'"]), st.integers(0, 160)
)
LONG_TAGS = st.tuples(
    st.sampled_from(["<a", "<area", "<p"]),
    RUNS,
    st.sampled_from(["", " href", " href=x", " href='y'", ' HREF="z"', " href=>"]),
    RUNS,
    st.sampled_from([">", "/>", ""]),
).map("".join)
# Tags by the hundred: the pattern jumps in steps of 500, and whatever stands where one ends counts.
MANY_TAGS = st.builds(
    str.__mul__, st.sampled_from(["<b>", "</b>", "<b x=y>", "<!x>"]), st.integers(495, 505)
)
DOCUMENTS = st.lists(st.one_of(FRAGMENTS, SPACES), max_size=40).map("".join)
LONG_DOCUMENTS = st.lists(st.one_of(LONG_TAGS, FRAGMENTS, SPACES), max_size=8).map("".join)
MANY_TOKENS = st.tuples(MANY_TAGS, DOCUMENTS).map("".join)


@settings(max_examples=500, deadline=None)
@given(st.one_of(DOCUMENTS, LONG_DOCUMENTS, MANY_TOKENS))
def test_agrees_with_the_tokenizer(document: str) -> None:
    """On any jumble of tags, quotes and comments: no link missed, none extra, same `</body>`."""
    html = document.encode("latin-1")
    expected, last_body_end = hrefs_by_tokenizer(html)

    assert expected == hrefs_by_us(html)
    assert last_body_end == scan(html).last_body_end


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="<a href=x>/'\"!-", max_size=60))
def test_agrees_with_the_tokenizer_letter_by_letter(document: str) -> None:
    """The same for text made of single characters that matter."""
    assert hrefs_by_tokenizer(document.encode())[0] == hrefs_by_us(document.encode())


def html5lib_cases() -> Iterator[tuple[str, list[list[object]]]]:
    """Yield input and expected tokens of the cases that start in the data state."""
    for path in sorted((CORPUS / "html5lib-tokenizer").glob("*.test")):
        for case in json.loads(path.read_text(encoding="utf-8")).get("tests", []):
            if "Data state" in case.get("initialStates", ["Data state"]):
                yield case["input"], case["output"]


@pytest.mark.skipif(not CORPUS.is_dir(), reason=NO_CORPUS)
def test_cases_of_html5lib() -> None:
    """In html5lib's cases, with `h` (their usual element) renamed to `a`, all hrefs are found."""
    links = cases = 0
    for text, output in html5lib_cases():
        source = re.sub(r"(?i)<(/?)h(?=[\s/>]|$)", r"<\1a", text)
        source = re.sub(r"(?<=[\s/])a(?==)", "href", source)
        html = source.encode("utf-8", "surrogatepass")
        cases += 1
        links += len(scan(html).links)
        assert hrefs_by_tokenizer(html)[0] == hrefs_by_us(html), source
        if source == text and not re.search(r"(?i)<(script|style|title|plaintext)", text):
            tags = [token for token in output if token[0] == "StartTag" and token[1] == "a"]
            assert len(tags) >= len(scan(html).links)
    assert (cases, links) >= (6000, 1000)


@pytest.mark.skipif(not CORPUS.is_dir(), reason=NO_CORPUS)
def test_raw_text_cases_of_html5lib() -> None:
    """In html5lib's raw text cases the element ends where they say it ends."""
    count = 0
    for path in sorted((CORPUS / "html5lib-tokenizer").glob("*.test")):
        for case in json.loads(path.read_text(encoding="utf-8")).get("tests", []):
            name = case.get("lastStartTag")
            if name not in ("xmp", "textarea", "script", "style", "title"):
                continue
            closed = any(token[:2] == ["EndTag", name] for token in case["output"])
            found = scan(f"<{name}>{case['input']}".encode())
            assert closed == (found.ended_in is EndedIn.TEXT), case["input"]
            count += 1
    assert count >= 10
