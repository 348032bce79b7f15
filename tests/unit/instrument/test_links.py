"""What becomes of the links of a message."""

from __future__ import annotations

import base64
import dataclasses
import quopri
import re

import pytest

from openclick_milter.instrument import (
    ImageOutcome,
    LinkOutcome,
    Untouched,
)
from openclick_milter.reasons import Reason
from unit.instrument.one_message import (
    CLICKS,
    HTML,
    LINK,
    MINTER,
    OPENS,
    PAGE,
    done,
    run,
    url,
)
from unit.second_reader import IMAGE, html_by_email


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
@pytest.mark.parametrize("encoding", ["", "7bit", "8bit", "binary", "quoted-printable", "base64"])
def test_link_and_image(encoding: str, newline: bytes) -> None:
    """In every transfer encoding a reader finds tracked link and image, nothing else new."""
    fields = [*HTML, ("Content-Transfer-Encoding", encoding)] if encoding else HTML
    page = PAGE.replace(b"\r\n", newline)
    encoded = {"quoted-printable": quopri.encodestring, "base64": base64.encodebytes}.get(encoding)
    body = encoded(page).replace(b"\n", newline).replace(b"\r\r", b"\r") if encoded else page

    result = done(fields, body)

    expected = page.replace(b"http://example.com/", url(0, "http://example.com/"))
    expected = expected.replace(b"</body>", IMAGE + b"</body>")
    assert [expected] == html_by_email(fields, result.body)
    assert (LinkOutcome(0, 0, "http://example.com/", True, ""),) == result.links
    assert ImageOutcome(True, Reason.BEFORE_BODY_END) == result.image
    assert set(re.findall(rb"\r?\n", result.body)) == {newline}


def test_opens_alone() -> None:
    """With clicks off only the image is added, and no link is listed."""
    result = done(HTML, PAGE, OPENS)

    assert PAGE.replace(b"</body>", IMAGE + b"</body>") == result.body
    assert () == result.links


def test_clicks_alone() -> None:
    """With opens off only links change."""
    result = done(HTML, PAGE, CLICKS)

    assert PAGE.replace(b"http://example.com/", url(0, "http://example.com/")) == result.body
    assert ImageOutcome(False, Reason.OPENS_OFF) == result.image


def test_references_in_the_destination() -> None:
    """References are decoded once for the destination; the quotes around it stay."""
    body = b"<a href='http://e.com/?a=1&amp;b=2&copy=3'>x</a>"

    result = done(HTML, body, CLICKS)

    assert "http://e.com/?a=1&b=2&copy=3" == result.links[0].destination
    assert body.replace(body[9:-7], url(0, "http://e.com/?a=1&b=2&copy=3")) == result.body


def test_unquoted_value() -> None:
    """An unquoted value gains no quotes."""
    result = done(HTML, b"<a href=http://e.com/>x</a>", CLICKS)

    assert b"<a href=%b>x</a>" % url(0, "http://e.com/") == result.body


def test_several_html_parts() -> None:
    """Links are numbered through the message; the image goes into the first HTML part alone."""
    fields = [("Content-Type", "multipart/mixed; boundary=b")]
    part = b"--b\r\nContent-Type: text/html\r\n\r\n" + PAGE + b"\r\n"
    body = b"--b\r\n\r\nplain http://example.com/\r\n" + part + part + b"--b--\r\n"

    result = done(fields, body)

    assert [(0, 2, True), (1, 3, True)] == [(x.link_index, x.part, x.tracked) for x in result.links]
    assert result.body.count(IMAGE) == 1
    assert result.body.index(IMAGE) < result.body.index(url(1, "http://example.com/"))


def test_own_image_of_a_quoted_message() -> None:
    """A reply keeps the links and image it quotes, gets an image of its own, and says so."""
    quoted = done(HTML, PAGE).body

    result = done(HTML, quoted)

    assert result.body.count(IMAGE) == 2
    assert [Reason.ALREADY_TRACKED] == [link.reason for link in result.links]
    assert {url(0, "http://example.com/").decode(), MINTER.image_url()} == set(result.own_urls)


@pytest.mark.parametrize(
    ("anchor", "reason"),
    [
        (b'<a href="mailto:a@example.com">', Reason.OTHER_SCHEME),
        (b'<a href="#x">', Reason.ANCHOR),
        (b'<a href="">', Reason.EMPTY),
        (b'<a href="//e.com">', Reason.NO_SCHEME),
        (b'<a href="http://{{host}}/">', Reason.TEMPLATE_HOST),
        (b'<a clicktracking=off href="http://e.com/">', Reason.OPTED_OUT),
        (b'<a href="http://e.com/u?x&amp;y">', Reason.UNSUBSCRIBE),
        (b'<a href="http://e.com/' + b"x" * 1500 + b'">', Reason.TOO_LONG),
        (b'<a href="http://e.com/\xff">', Reason.UNDECODABLE_URL),
        (b'<a href="' + MINTER.image_url().encode() + b'">', Reason.ALREADY_TRACKED),
        (b'<a href="http://e.com/">' + b"x" * 974, Reason.LINE_TOO_LONG),
    ],
)
def test_link_that_is_left(anchor: bytes, reason: Reason) -> None:
    """A link that is left is listed with its reason; those around it are tracked."""
    body = LINK + b"\r\n" + anchor + b"\r\n" + LINK
    request = dataclasses.replace(CLICKS, unsubscribe_urls=frozenset({"http://e.com/u?x&y"}))

    result = done(HTML, body, request)

    assert [(True, ""), (False, reason), (True, "")] == [
        (x.tracked, x.reason) for x in result.links
    ]
    assert anchor in result.body
    assert url(2, "http://example.com/") in result.body


def test_line_of_998_bytes() -> None:
    """In a part that is not encoded a line may grow to 998 bytes, and no further."""
    anchor = b'<a href="http://e.com/">'
    room = 998 - len(anchor) + len("http://e.com/") - len(url(0, "http://e.com/"))

    full = done(HTML, anchor + b"x" * room + b"\r\n", CLICKS)
    over = run(HTML, anchor + b"x" * (room + 1) + b"\r\n", CLICKS)

    assert 998 == len(full.body) - 2
    assert over == Untouched(Reason.NOTHING_TO_DO)


def test_conditional_comments() -> None:
    """Links that only Outlook sees are tracked with the option, and stay without it."""
    body = b"<!--[if mso]>" + LINK + b"<![endif]-->" + LINK

    without = done(HTML, body, CLICKS)
    with_option = done(HTML, body, dataclasses.replace(CLICKS, conditional_comments=True))

    assert [1, 2] == [len(without.links), len(with_option.links)]
