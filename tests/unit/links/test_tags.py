"""The link scanner: which tags and attributes hold a link, and what else is told."""

from __future__ import annotations

import pytest

from openclick_milter.links import EndedIn, attributes, scan
from unit.links.link_readers import (
    hrefs,
)


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


@pytest.mark.parametrize("conditional_comments", [False, True])
@pytest.mark.parametrize(
    "token", [b"<!x>", b"<?x>", b"</ x>", b"< ", b"</>", b"<!---->", b"<![CDATA[x>", b"<b x>"]
)
def test_link_behind_any_number_of_tags(token: bytes, conditional_comments: bool) -> None:
    """Wherever a step of the pattern ends, what stands there hides neither link nor `</body>`."""
    for number in range(495, 506):
        html = b"<i>" * number + token + b"<a href=x></body>"

        found = scan(html, conditional_comments=conditional_comments)

        assert (1, EndedIn.TEXT) == (len(found.links), found.ended_in), number
        assert html.index(b"</body>") == found.last_body_end


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
