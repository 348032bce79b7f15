"""The link scanner: what a tokenizer would find, in linear time."""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclick_milter.attributes import decode_attribute
from openclick_milter.links import EndedIn, attributes, scan
from unit.second_reader import CORPUS, NO_CORPUS

NO_ORACLE = "turbohtml is not in Debian; pip has it"


def hrefs(html: bytes, *, conditional_comments: bool = False) -> list[bytes]:
    """Return the raw href values that the scanner finds."""
    found = scan(html, conditional_comments=conditional_comments)
    return [html[link.start : link.end] for link in found.links]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (b'<a href="x">', [b"x"]),
        (b"<a href='x'>", [b"x"]),
        (b"<a href=x>", [b"x"]),
        (b"<A HREF = \r\n 'x y'>", [b"x y"]),
        (b'<area shape="rect" href="x"/>', [b"x"]),
        (b'<a\nclass="b"\nhref="x"\n>', [b"x"]),
        (b'<a/href="x"/>', [b"x"]),
        (b'<a class="b"href="x">', [b"x"]),
        (b"<a href=x/>", [b"x/"]),
        (b"<a href=x/y?z='1'>", [b"x/y?z='1'"]),
        (b"<a href=x>y</a><a href=z>", [b"x", b"z"]),
        (b'<a title="href=y" href="x">', [b"x"]),
        (b"<a title='>' href=x>", [b"x"]),
        (b"<a title=\"'\" href='x\"'>", [b'x"']),
        (b"<a =href=y href=x>", [b"x"]),
        (b'<a ="y" href="x">', [b"x"]),
        (b"<a ===href href=x>", [b"x"]),
        (b'<a b=""href="x">', [b"x"]),
        (b'<a data-href="y" href="x" hreflang="z">', [b"x"]),
        (b'<a href="x" href="y">', [b"x"]),
        (b'<a href href="y">', []),
        (b'<a href=>y="z">', []),
        (b'<a href="">', [b""]),
        (b"<abbr href=x><ahref=x><a-b href=x><link href=x><v:roundrect href=x>", []),
        (b'<a"href=x>', []),
        (b"</a href=x>", []),
        (b'<p a="<a href=y>"><a href=x>', [b"x"]),
        (b"<p a='><a href=y>'><a href=x>", [b"x"]),
        (b"<<a href=x>", [b"x"]),
        (b"< a href=x>", []),
        (b"<a\x0bhref=x>", []),
        (b"<noscript><a href=x></noscript>", [b"x"]),
        (b"<template><a href=x></template>", [b"x"]),
        (b"a < b <a href=x> c > d", [b"x"]),
        (b'<td style="a"\r\n><a\x00href=y href=x>', []),
        (b"<p" + b" x" * 200 + b"><a href=x>", [b"x"]),
        (b"<a" + b" x=y" * 200 + b" href=x>", [b"x"]),
        (b"<a href=x" + b" x=y" * 200 + b">", [b"x"]),
        (b"<a" + b" x=y" * 200 + b' href="" href=z>', [b""]),
    ],
)
def test_start_tag(html: bytes, expected: list[bytes]) -> None:
    """The first href of `a` and `area` is found in every form of attribute, nothing else is."""
    assert expected == hrefs(html)


@pytest.mark.parametrize("attribute", [b" x=y", b' x="y"', b" x='y'", b" x", b"/x"])
@pytest.mark.parametrize("href", [b" href=x", b' HREF="x"', b" href = 'x' href=z"])
def test_href_behind_any_number_of_attributes(attribute: bytes, href: bytes) -> None:
    """No step of the pattern swallows an href, wherever one step ends and the next begins."""
    missed = [
        number
        for number in range(220)
        if hrefs(b"<a" + attribute * number + href + b" " + attribute * 3 + b">") != [b"x"]
    ]

    assert missed == []


@pytest.mark.parametrize("number", [0, 49, 50, 51, 99, 100, 101])
def test_href_without_a_value_behind_many_attributes(number: int) -> None:
    """The first href counts, so one behind it is no link."""
    html = b"<a" + b" x=y" * number + b" href href=z>"

    assert [] == [value for value in hrefs(html) if value]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (b"<!-- <a href=y> --><a href=x>", [b"x"]),
        (b"<!-- <a href=y> --!><a href=x>", [b"x"]),
        (b"<!--><a href=x>-->", [b"x"]),
        (b"<!---><a href=x>-->", [b"x"]),
        (b"<!----><a href=x>-->", [b"x"]),
        (b"<!----!><a href=x>-->", [b"x"]),
        (b"<!--!><a href=y>--><a href=x>", [b"x"]),
        (b"<!-- <!-- --><a href=x> -->", [b"x"]),
        (b"<!-- -- ><a href=y> --><a href=x>", [b"x"]),
        (b"<! <a href=y ><a href=x>", [b"x"]),
        (b'<!DOCTYPE html "><a href=x>', [b"x"]),
        (b"<?php <a href=y ><a href=x>", [b"x"]),
        (b"</ <a href=y ><a href=x>", [b"x"]),
        (b"</><a href=x>", [b"x"]),
        (b"<![if !mso]><a href=x><![endif]>", [b"x"]),
        (b"<!--[if !mso]><!--><a href=x><!--<![endif]-->", [b"x"]),
        (b"<!--[if mso]><a href=y><![endif]--><a href=x>", [b"x"]),
        (b"<![CDATA[ <a href=y> ]]><a href=x>", [b"x"]),
        (b"<![CDATA[ > <a href=x> ]]>", [b"x"]),
        (b"<svg><![CDATA[ > <a href=y> ]]></svg><a href=x>", [b"x"]),
    ],
)
def test_comment(html: bytes, expected: list[bytes]) -> None:
    """Comments of every form, declarations and CDATA are stepped over and end where they end."""
    assert expected == hrefs(html)


@pytest.mark.parametrize(
    "name", ["script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"]
)
def test_raw_text(name: str) -> None:
    """Raw text is never entered and ends only at its own end tag."""
    tag = name.encode("ascii")
    html = b"<%b a='>'><a href=1></b></%bx><!-- <%b </%b\x00> </%b a='>' ><a href=x>" % (
        tag,
        tag,
        tag,
        tag,
        tag.upper(),
    )
    if name == "script":
        html = html.replace(b"<!--", b"")

    assert [b"x"] == hrefs(html)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (b"<!-- </script><a href=x>", [b"x"]),
        (b"<!-- <script> </script><a href=y>--></script><a href=x>", [b"x"]),
        (b"<!-- <script> </script></script><a href=x>", [b"x"]),
        (b"<!-- <script> --></script><a href=x>", [b"x"]),
        (b"<!--><script></script><a href=x>", [b"x"]),
        (b"<!---><script></script><a href=x>", [b"x"]),
        (b"<!-- <scripts> </script><a href=x>", [b"x"]),
        (b"<!-- <script </script><a href=y></script><a href=x>", [b"x"]),
        (b"<script> </script><a href=x>", [b"x"]),
        (b"<!-- <SCRIPT/ </ScRiPt\t</script ><a href=x>", [b"x"]),
        (b"<!-- --><script></script><a href=x>", [b"x"]),
    ],
)
def test_escaped_script(script: bytes, expected: list[bytes]) -> None:
    """A script that holds `<!--` and another `<script>` ends where a browser ends it."""
    assert expected == hrefs(b"<script>" + script)


@pytest.mark.parametrize(
    ("html", "ended_in"),
    [
        (b"", EndedIn.TEXT),
        (b"text <", EndedIn.TEXT),
        (b"<p>text</p>", EndedIn.TEXT),
        (b"</", EndedIn.COMMENT),
        (b"<!", EndedIn.COMMENT),
        (b"<!-- <a href=x>", EndedIn.COMMENT),
        (b"<!-- --", EndedIn.COMMENT),
        (b"<!--", EndedIn.COMMENT),
        (b"<!DOCTYPE", EndedIn.COMMENT),
        (b"<?x", EndedIn.COMMENT),
        (b"<svg><![CDATA[ >", EndedIn.RAW_TEXT),
        (b"<![CDATA[", EndedIn.COMMENT),
        (b"<p", EndedIn.TAG),
        (b"<a href=x", EndedIn.TAG),
        (b"<a href='x>", EndedIn.TAG),
        (b'<p title="><a href=x>', EndedIn.TAG),
        (b'<a href=x title="y>', EndedIn.TAG),
        (b"</p ", EndedIn.TAG),
        (b"<style>", EndedIn.RAW_TEXT),
        (b"<style></style", EndedIn.RAW_TEXT),
        (b"<style></style ", EndedIn.TAG),
        (b"<title><a href=x></p>", EndedIn.RAW_TEXT),
        (b"<script><!--<script></script>", EndedIn.RAW_TEXT),
        (b"<plaintext></plaintext><a href=x>", EndedIn.RAW_TEXT),
    ],
)
def test_end_of_input(html: bytes, ended_in: EndedIn) -> None:
    """What is still open at the end is told, and gives no link."""
    found = scan(html)

    assert (ended_in, []) == (found.ended_in, found.links)


def test_places_for_the_image() -> None:
    """The first `<body>`, the last `</body>` and the last `</html>` that are tokens are told."""
    html = (
        b"<!-- <body> --><html><body a='>' b><body>x</body ></html>"
        b"</BODY\t></HTML\n><style></body></html></style><!-- </body> --><p a='</body>'>"
    )

    found = scan(html)

    assert html.index(b"<body a") + len(b"<body a='>' b>") == found.after_body_start
    assert html.index(b"</BODY") == found.last_body_end
    assert html.index(b"</HTML") == found.last_html_end


@pytest.mark.parametrize("html", [b"text", b"<bodyx></bodyx></htmlx>", b"<html><p>", b"</body"])
def test_no_place_for_the_image(html: bytes) -> None:
    """Where the tags are missing no place is told."""
    found = scan(html)

    assert (None, None, None) == (found.after_body_start, found.last_body_end, found.last_html_end)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (b"<!--[if mso]><a href=1><![endif]--><a href=2>", [b"1", b"2"]),
        (b"<!--[IF gte mso 9]> <area href=1> </body> <![ENDIF]--><a href=2>", [b"1", b"2"]),
        (b"<!--[if mso]><v:roundrect href=1><![endif]-->", [b"1"]),
        (b"<!--[if mso]><V:RECT a='>' HREF='1'/><a href=2><![endif]-->", [b"1", b"2"]),
        (b"<!--[if mso]><v:fill src=1><w:anchorlock href=2><v:r\xc3 href=3><![endif]-->", []),
        (b"<!--[if mso]><v:rect" + b" x=y" * 200 + b" href=1><![endif]-->", [b"1"]),
        (b"<!--[if mso]><!-- <v:rect href=1> --><![endif]-->", []),
        (b"<v:roundrect href=1><a href=2>", [b"2"]),
        (b"<!--[if mso]><style><a href=1><![endif]--><a href=2>", [b"2"]),
        (b"<!--[if !mso]><!--><a href=1><!--<![endif]-->", [b"1"]),
        (b"<!--[if mso]> <a href=1> --><a href=2>", [b"2"]),
        (b"<!-- <a href=1> --><a href=2>", [b"2"]),
        (b"<!--[if mso]><a href=1", []),
    ],
)
def test_conditional_comments_wanted(html: bytes, expected: list[bytes]) -> None:
    """With the option, links and VML buttons that only Outlook sees are found; no other comment."""
    assert expected == hrefs(html, conditional_comments=True)
    assert scan(html, conditional_comments=True).last_body_end is None


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        (b'data-openclick="off"', True),
        (b"DATA-OPENCLICK=OFF", True),
        (b'data-openclick="on"', False),
        (b"data-openclick", False),
        (b"clicktracking=off", True),
        (b"clicktracking='&#111;ff'", True),
        (b"clicktracking=on", False),
        (b"data-pm-no-track", True),
        (b'data-pm-no-track="false"', True),
        (b"disable-tracking=true", True),
        (b"disable-tracking=false", False),
        (b"ses:no-track", True),
        (b'data-msys-clicktrack="0"', True),
        (b'data-msys-clicktrack="1"', False),
        (b"mc:disable-tracking", True),
        (b'title="clicktracking=off"', False),
        (b"class=track", False),
    ],
)
@pytest.mark.parametrize("template", [b"<a href='/track' %b>", b"<a %b href=/track>"])
def test_opt_out(template: bytes, attribute: bytes, expected: bool) -> None:
    """A link that carries an opt-out attribute, ours or another vendor's, is marked."""
    (link,) = scan(template % attribute).links

    assert expected == link.opted_out


def test_opt_out_on_a_very_long_tag() -> None:
    """The attribute counts wherever it stands in the tag."""
    (link,) = scan(b"<a href=x" + b" x" * 300 + b" clicktracking=off>").links

    assert link.opted_out


def test_attributes_of_a_tag() -> None:
    """Names come in lower case, values as ranges; a missing value is an empty range."""
    tag = b"<A b C=d e='f' g = \"h\" i=>"

    found = [(name, tag[start:end]) for name, start, end in attributes(tag)]

    assert found == [(b"b", b""), (b"c", b"d"), (b"e", b"f"), (b"g", b"h"), (b"i", b"")]


def test_stops_at_most_links() -> None:
    """A document of nothing but links is left once there are enough."""
    assert len(scan(b"<a href=x>" * 100, most_links=7).links) == 7


def test_checkpoint_passes_through() -> None:
    """A deadline can stop the scanner in the midst of a document."""

    def too_late() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        scan(b"<a href=x>" * 10_000, checkpoint=too_late)


# The independent reader: turbohtml's tokenizer.


def hrefs_by_tokenizer(html: bytes) -> tuple[list[str], int | None]:
    """Return the decoded href of each `a` and `area`, and the last `</body>`'s offset.

    Offsets hold for input without CR.  The tokenizer takes noscript for raw text, as with scripts
    on; a mail client has them off, so the word is replaced by another of its length.
    """
    turbohtml = pytest.importorskip("turbohtml", reason=NO_ORACLE)
    text = without_noscript(html.decode("latin-1"))
    lines = [0, *(match.end() for match in re.finditer("\n", text))]
    found, last_body_end = [], None
    for token in turbohtml.tokenize(text):
        if token.type == turbohtml.TokenType.START_TAG and token.tag in ("a", "area"):
            value = token.attr("href")
            found += [value] if value else []
        elif token.type == turbohtml.TokenType.END_TAG and token.tag == "body":
            last_body_end = lines[token.line - 1] + token.col
    return found, last_body_end


def without_noscript(text: str) -> str:
    """Return text without that word, which may stand in a value as well."""
    return re.sub(r"(?i)noscript", "noscrypt", text)


def hrefs_by_us(html: bytes) -> list[str]:
    """Return our hrefs in the tokenizer's form: decoded, newlines normalised, NUL replaced."""
    found = []
    for raw in hrefs(html):
        text = raw.decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")
        value = decode_attribute(without_noscript(text.replace("\0", "\ufffd")))
        found += [value] if value else []
    return found


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
DOCUMENTS = st.lists(st.one_of(FRAGMENTS, SPACES), max_size=40).map("".join)
LONG_DOCUMENTS = st.lists(st.one_of(LONG_TAGS, FRAGMENTS, SPACES), max_size=8).map("".join)


@settings(max_examples=500, deadline=None)
@given(st.one_of(DOCUMENTS, LONG_DOCUMENTS))
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


# Hostile input.

HOSTILE = [
    b"<a ",
    b"<a href=",
    b"<a href='x ",
    b'<p x="',
    b"<!--",
    b"<!-- --",
    b"<![CDATA[",
    b"<![CDATA[>",
    b"<svg><![CDATA[",
    b"<",
    b"a<b",
    b"<b=",
    b"</b'",
    b"</",
    b"<a x x x",
    b" x",
    b"<script><!--<script>",
    b"<style></style",
    b"<title><a href=x>",
    b"<a href=x",
    b"<![",
    b"<a\n\n\n",
    b"x" * 10,
    b"<p/",
    b"<p ='",
    b"<!--[if mso]>",
    b"<!--[if mso]><a href=x><![endif]-->",
    b"<!--[if mso]><v:rect href=x><![endif]-->",
    b"<v:rect x x x",
]


@pytest.mark.parametrize("conditional_comments", [False, True])
@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("opening", [b"", b"<a ", b"<script>", b"<!--[if mso]>"])
def test_hostile_input_takes_linear_time(
    opening: bytes, unit: bytes, conditional_comments: bool
) -> None:
    """Four times the input takes about four times the time, whatever is repeated."""

    def seconds(size_bytes: int) -> float:
        html = opening + unit * (size_bytes // len(unit))
        times = []
        for _ in range(3):
            started = time.thread_time()
            scan(html, conditional_comments=conditional_comments, most_links=10**9)
            times.append(time.thread_time() - started)
        return min(times)

    # A quadratic scanner would need sixteen times as long; the floor keeps timer noise out.
    assert seconds(200_000) < 8 * seconds(50_000) + 0.01


@pytest.mark.parametrize("opening", [b"", b"<a ", b"<p ", b"<a href=x "])
@pytest.mark.parametrize("unit", [b"x ", b"<b>", b"<a x x x", b"<!---->", b"'\"", b"a<b"])
def test_hostile_input_takes_little_memory(opening: bytes, unit: bytes) -> None:
    """A megabyte of anything is scanned in a small part of its size."""
    html = opening + unit * (1_000_000 // len(unit))
    tracemalloc.start()

    scan(html)

    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 300_000
