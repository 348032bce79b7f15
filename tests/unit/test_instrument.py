"""Instrumenting whole messages: what changes, what does not, and why."""

from __future__ import annotations

import base64
import dataclasses
import quopri
import re
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclick_milter.destinations import destination
from openclick_milter.instrument import (
    ImageOutcome,
    Instrumented,
    Limits,
    LinkOutcome,
    Request,
    Untouched,
    instrument,
    undo,
)
from openclick_milter.links import scan
from openclick_milter.reasons import Reason
from unit.second_reader import IMAGE, FakeMinter, html_by_email, no_deadline

Fields = list[tuple[str, str]]

MINTER = FakeMinter()
LIMITS = Limits()
BOTH = Request(opens=True, clicks=True)
OPENS = Request(opens=True, clicks=False)
CLICKS = Request(opens=False, clicks=True)

HTML: Fields = [("From", "a@example.com"), ("Content-Type", "text/html; charset=utf-8")]
QUOTED_PRINTABLE = [*HTML, ("Content-Transfer-Encoding", "quoted-printable")]
BASE64 = [*HTML, ("Content-Transfer-Encoding", "base64")]
LINK = b'<a href="http://example.com/">x</a>'
PAGE = b"<html><body><p>" + LINK + b"</p></body></html>\r\n"


def run(
    fields: Fields, body: bytes, request: Request = BOTH, limits: Limits = LIMITS
) -> Instrumented | Untouched:
    """Instrument a message with the fake minter; check what must hold for every result."""
    result = instrument(fields, body, request, MINTER, limits, lambda: None)
    if isinstance(result, Instrumented):
        assert body != result.body
        assert undo(result.body, result.edits) == body
        assert bytes_outside(body, result) == bytes_outside(result.body, result, edited=True)
        assert [link.link_index for link in result.links] == list(range(len(result.links)))
    else:
        assert result.reason
    return result


def bytes_outside(body: bytes, result: Instrumented, *, edited: bool = False) -> list[bytes]:
    """Return what stands between the edits, in the original or in the edited body."""
    pieces, done, shift = [], 0, 0
    for edit in result.edits:
        start = edit.start + shift
        pieces.append(body[done:start])
        done = start + len(edit.replacement if edited else edit.original)
        shift += (len(edit.replacement) - len(edit.original)) if edited else 0
    return [*pieces, body[done:]]


def done(
    fields: Fields, body: bytes, request: Request = BOTH, limits: Limits = LIMITS
) -> Instrumented:
    """Instrument a message that can be."""
    result = run(fields, body, request, limits)
    assert isinstance(result, Instrumented), result
    return result


def url(index: int, target: str) -> bytes:
    """Return the tracking link for a target."""
    found = MINTER.link_url(index, target)
    assert found
    return found.encode()


# What is done.


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
    assert (url(0, "http://example.com/").decode(), MINTER.image_url()) == result.own_urls


# Links that are left.


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


# The image.


@pytest.mark.parametrize(
    ("html", "expected", "reason"),
    [
        (b"<p>x</p></body></html>", b"<p>x</p>|</body></html>", Reason.BEFORE_BODY_END),
        (b"</body>x</BODY ></html>", b"</body>x|</BODY ></html>", Reason.BEFORE_BODY_END),
        (b"x</html>\r\n", b"x|</html>\r\n", Reason.BEFORE_HTML_END),
        (b"<p>x\r\n\r\n", b"<p>x|\r\n\r\n", Reason.AT_END),
        (b"x<!-- </body> -->", b"x<!-- </body> -->|", Reason.AT_END),
        (b"<body a='>'>x<!-- ", b"<body a='>'>|x<!-- ", Reason.AFTER_BODY_START),
        (b"<body>x<style></body>", b"<body>|x<style></body>", Reason.AFTER_BODY_START),
        (b"<body>x</body><p ", b"<body>|x</body><p ", Reason.AFTER_BODY_START),
    ],
)
def test_place_of_the_image(html: bytes, expected: bytes, reason: Reason) -> None:
    """The image stands where a reader sees it: before the end, or up where the end is unsafe."""
    result = done(HTML, html, OPENS)

    assert expected.replace(b"|", IMAGE) == result.body
    assert ImageOutcome(True, reason) == result.image


def test_image_in_a_clipped_message() -> None:
    """Where Gmail would clip the end of the part, the image stands at its beginning."""
    html = b"<body>" + b"x" * 900 + b"\r\n</body>"
    size_bytes = len(html) + len(IMAGE)

    fits = done(HTML, html, OPENS, Limits(clip_bytes=size_bytes))
    clipped = done(HTML, html, OPENS, Limits(clip_bytes=size_bytes - 1))

    assert Reason.BEFORE_BODY_END == fits.image.reason
    assert Reason.AFTER_BODY_START == clipped.image.reason


def test_links_count_towards_clipping() -> None:
    """It is the size after rewriting that counts."""
    html = b"<body>" + LINK + b"</body>"
    limits = Limits(clip_bytes=len(html) + len(IMAGE))

    assert Reason.BEFORE_BODY_END == done(HTML, html, OPENS, limits).image.reason
    assert Reason.AFTER_BODY_START == done(HTML, html, BOTH, limits).image.reason


@pytest.mark.parametrize("html", [b"<p>x<!-- ", b"<p>" + b"x" * 200_000])
def test_no_place_for_the_image(html: bytes) -> None:
    """Where `<body>` is needed and missing there is no image, with the reason."""
    result = done([*HTML], LINK + b"\r\n" + html, BOTH)

    assert ImageOutcome(False, Reason.NO_BODY_TAG) == result.image
    assert run(HTML, html, OPENS) == Untouched(Reason.NO_BODY_TAG)


def test_image_on_a_long_line() -> None:
    """Where the line would pass 998 bytes the image gets a line of its own."""
    html = b"<body>" + b"x" * 980 + b"</body>\r\n"

    result = done(HTML, html, OPENS)

    assert html.replace(b"</body>", b"\r\n" + IMAGE + b"\r\n</body>") == result.body


# What leaves a message untouched.


@pytest.mark.parametrize(
    ("fields", "body", "reason"),
    [
        ([("Content-Type", "text/plain")], b"http://example.com/", Reason.NO_HTML),
        ([], PAGE, Reason.NO_HTML),
        ([("Content-Type", "text/x-amp-html")], PAGE, Reason.NO_HTML),
        ([*HTML, ("Content-Disposition", "attachment; filename=x")], PAGE, Reason.NO_HTML),
        ([("Content-Type", "image")], b"", Reason.NO_HTML),
        ([("Content-Type", "text/html (x)")], PAGE, Reason.BAD_CONTENT_TYPE),
        ([("Content-Type", "text/html; x=" + "y" * 1024)], PAGE, Reason.HEADER_TOO_LONG),
        ([*HTML, ("DKIM-Signature", "v=1")], PAGE, Reason.DKIM_SIGNED),
        ([("Content-Type", "multipart/signed; boundary=b")], PAGE, Reason.SIGNED),
        ([("Content-Type", "multipart/encrypted; boundary=b")], PAGE, Reason.ENCRYPTED),
        ([("Content-Type", "application/pkcs7-mime")], PAGE, Reason.SMIME),
        (HTML, b"<pre>\r\n-----BEGIN PGP MESSAGE-----\r\n</pre>" + LINK, Reason.INLINE_PGP),
        (HTML, b"<pre>-----BEGIN PGP MESSAGE-----\r\n</pre>" + LINK, Reason.INLINE_PGP),
        (HTML, b"<div>Hi<br> -----BEGIN PGP SIGNED MESSAGE-----<br>" + LINK, Reason.INLINE_PGP),
        (HTML, b"<p>\r\n\t -----BEGIN PGP MESSAGE-----\r\n" + LINK, Reason.INLINE_PGP),
        ([*HTML, *HTML], PAGE, Reason.DUPLICATE_HEADER),
        ([*HTML, ("Content-Transfer-Encoding", "8bit+")], PAGE, Reason.UNKNOWN_ENCODING),
        (QUOTED_PRINTABLE, PAGE, Reason.BAD_QUOTED_PRINTABLE),
        (BASE64, PAGE, Reason.BAD_BASE64),
        ([("Content-Type", "text/html; charset=utf-16")], PAGE, Reason.UNSAFE_CHARSET),
        ([("Content-Type", "text/html; charset=iso-2022-jp")], PAGE, Reason.UNSAFE_CHARSET),
        (HTML, b"\xff\xfe" + PAGE, Reason.UNSAFE_CHARSET),
        (HTML, PAGE + b"\x1b$B", Reason.UNSAFE_CHARSET),
        (HTML, b" \r\n", Reason.EMPTY_HTML),
        (HTML, b"", Reason.EMPTY_HTML),
        ([("Content-Type", "text/html; charset=a; charset=b")], PAGE, Reason.DUPLICATE_PARAMETER),
        (HTML, b"<a href=x>" * 65_536, Reason.TOO_MANY_LINKS),
    ],
)
def test_untouched(fields: Fields, body: bytes, reason: Reason) -> None:
    """What must not or cannot be edited stays as it is, with the reason."""
    assert Untouched(reason) == run(fields, body)


@pytest.mark.parametrize("encoding", ["", "quoted-printable", "base64"])
def test_inline_pgp_in_a_text_part(encoding: str) -> None:
    """Inline PGP in any text part spoils the message, however that part is encoded."""
    text = b"-----BEGIN PGP SIGNED MESSAGE-----\r\nx"
    encoded = {"base64": base64.b64encode(text)}.get(encoding, text)
    body = (
        b"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: %b\r\n\r\n%b\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n%b\r\n--b--" % (encoding.encode(), encoded, PAGE)
    )

    result = run([("Content-Type", "multipart/alternative; boundary=b")], body)

    assert result == Untouched(Reason.INLINE_PGP)


def test_pgp_in_the_midst_of_a_line() -> None:
    """A text that only speaks of PGP is instrumented."""
    done(HTML, b"a line like -----BEGIN PGP MESSAGE----- opens it " + LINK)
    done(HTML, b"<p>a <i>line</i> like &quot;-----BEGIN PGP MESSAGE-----&quot; " + LINK)


def test_nothing_asked() -> None:
    """With both features off nothing is done."""
    assert run(HTML, PAGE, Request(False, False)) == Untouched(Reason.NOTHING_ASKED)


def test_nothing_to_do() -> None:
    """A message without a link to track stays as it is."""
    assert run(HTML, b"<p>x", CLICKS) == Untouched(Reason.NOTHING_TO_DO)


def test_signature_that_may_break() -> None:
    """With the option a signed message is instrumented."""
    request = dataclasses.replace(BOTH, signed_ok=True)

    done([*HTML, ("DKIM-Signature", "v=1")], PAGE, request)


def test_message_size() -> None:
    """A message that is too large, or would become so, stays as it is."""
    size_bytes = len(done(HTML, PAGE).body)

    done(HTML, PAGE, BOTH, Limits(max_message_bytes=size_bytes))
    grown = run(HTML, PAGE, BOTH, Limits(max_message_bytes=size_bytes - 1))
    large = run(HTML, PAGE, BOTH, Limits(max_message_bytes=len(PAGE) - 1))

    assert grown == Untouched(Reason.GROWN_TOO_LARGE)
    assert large == Untouched(Reason.MESSAGE_TOO_LARGE)


@pytest.mark.parametrize(
    "part",
    [
        b"Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Type: text/html\r\n\r\n"
        + PAGE
        + b"\r\n--s--",
        b"Content-Type: message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\n" + PAGE,
        b"Content-Type: text/html\r\nContent-Disposition: attachment\r\n\r\n" + PAGE,
        b"Content-Type: text/html; charset=utf-7\r\n\r\n" + PAGE,
        b"Content-Type: image/png\r\nContent-Transfer-Encoding: hexa\r\n\r\n" + PAGE,
    ],
)
def test_part_that_is_left(part: bytes) -> None:
    """A part that is closed to us stays byte for byte, the HTML beside it is instrumented."""
    body = b"--b\r\n%b\r\n--b\r\nContent-Type: text/html\r\n\r\n%b\r\n--b--\r\n" % (part, PAGE)

    result = done([("Content-Type", "multipart/mixed; boundary=b")], body)

    assert b"--b\r\n%b\r\n--b\r\n" % part in result.body
    assert [2] == [link.part for link in result.links]


QP_HEADER = b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
UNREADABLE_PARTS = [
    (b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!", Reason.BAD_BASE64),
    (
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: 8bit+\r\n\r\n" + PAGE,
        Reason.UNKNOWN_ENCODING,
    ),
    (QP_HEADER + PAGE + b"<p>a=zz</p>", Reason.BAD_QUOTED_PRINTABLE),
    (QP_HEADER + b"<p>a=zz</p>", Reason.BAD_QUOTED_PRINTABLE),
    (b"Content-Type: text/html; charset=utf-16\r\n\r\n" + PAGE, Reason.UNSAFE_CHARSET),
]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("part", "reason"), UNREADABLE_PARTS)
def test_part_that_cannot_be_read(part: bytes, reason: Reason, first: bool) -> None:
    """It stays byte for byte, with its reason; the HTML beside it is instrumented in full."""
    page = b"Content-Type: text/html\r\n\r\n" + PAGE
    body = b"--b\r\n%b\r\n--b\r\n%b\r\n--b--\r\n" % ((part, page) if first else (page, part))

    result = done([("Content-Type", "multipart/mixed; boundary=b")], body)

    unreadable, readable = (1, 2) if first else (2, 1)
    assert b"--b\r\n%b\r\n--b" % part in result.body
    assert ((unreadable, reason),) == result.left_parts
    assert [(0, readable, True)] == [(x.link_index, x.part, x.tracked) for x in result.links]
    assert 1 == result.body.count(IMAGE)


def test_parts_that_cannot_be_read_alone() -> None:
    """With no other HTML the message is untouched, for the first one's reason."""
    first, second = UNREADABLE_PARTS[0][0], UNREADABLE_PARTS[1][0]
    body = b"--b\r\n%b\r\n--b\r\n%b\r\n--b--\r\n" % (first, second)

    result = run([("Content-Type", "multipart/mixed; boundary=b")], body)

    assert Untouched(Reason.BAD_BASE64) == result


def test_inline_pgp_in_a_part_that_cannot_be_read() -> None:
    """It spoils the message, as in any other part."""
    part = b"Content-Type: text/html\r\nContent-Transfer-Encoding: x\r\n\r\n"
    part += b"-----BEGIN PGP SIGNED MESSAGE-----\r\n"
    page = b"Content-Type: text/html\r\n\r\n" + PAGE
    body = b"--b\r\n%b\r\n--b\r\n%b\r\n--b--\r\n" % (part, page)

    result = run([("Content-Type", "multipart/mixed; boundary=b")], body)

    assert Untouched(Reason.INLINE_PGP) == result


# Properties.


def test_exceptions_of_the_caller_pass_through() -> None:
    """A deadline, or a key that cannot be read, ends the work at once."""

    def too_late() -> None:
        raise TimeoutError

    class NoKey(FakeMinter):
        def link_urls(self, links: Sequence[tuple[int, str]]) -> list[str | None]:
            raise PermissionError

    with pytest.raises(TimeoutError):
        instrument(HTML, PAGE, BOTH, MINTER, LIMITS, too_late)
    with pytest.raises(PermissionError):
        instrument(HTML, PAGE, BOTH, NoKey(), LIMITS, lambda: None)


TEXTS = st.sampled_from(
    [
        b"<a href='http://e.com/?a=1&amp;b=",
        b"'>",
        b'<a\r\nhref="https://example.org/',
        b'"',
        b">",
        b"<a href=http://e.com/>",
        b"</a>",
        b"<body>",
        b"</body>",
        b"</html>",
        b"<!--",
        b"-->",
        b"<style>",
        b"</style>",
        b"\r\n",
        b"x" * 70,
        b"=",
        b" ",
        b"\xc3\xa9",
        b"\xff",
        b".",
        b"<a href=mailto:x>",
        b'<a href="' + MINTER.image_url().encode() + b'">',
        b"<p style='a:b'>",
    ]
)
PAGES = st.lists(TEXTS, max_size=30).map(b"".join)


def quoted_printable(content: bytes, width: int) -> bytes:
    """Encode with lines of `width` and lower-case escapes, as some senders do."""
    units = re.findall(rb"\r\n|[^=\x80-\xff\r\n]|.", content, re.DOTALL)
    lines, line = [], b""
    for unit in units:
        if unit == b"\r\n":
            lines.append(line)
            line = b""
            continue
        text = unit if re.fullmatch(rb"[^=\x80-\xff\r\n]", unit) else b"=%02x" % unit[0]
        if len(line) + len(text) > width - 1:
            lines.append(line + b"=")
            line = b""
        line += text
    return b"\r\n".join([*lines, line])


@settings(max_examples=300, deadline=None)
@given(PAGES, st.sampled_from(["8bit", "quoted-printable", "base64"]), st.integers(10, 76))
def test_reader_sees_the_splice(page: bytes, encoding: str, width: int) -> None:
    """`email` reads from the result the original HTML with just links and image put in."""
    fields = [*HTML, ("Content-Transfer-Encoding", encoding)]
    body = {
        "8bit": page,
        "quoted-printable": quoted_printable(page, width),
        "base64": base64.encodebytes(page).replace(b"\n", b"\r\n"),
    }[encoding]
    result = run(fields, body)
    if isinstance(result, Untouched):
        return

    (found,) = html_by_email(fields, result.body)

    assert splice_by_hand(page, result) == found.replace(IMAGE, b"")
    assert found.count(IMAGE) == result.image.placed
    if encoding == "quoted-printable":
        assert max(map(len, result.body.split(b"\r\n"))) <= 76


def splice_by_hand(page: bytes, result: Instrumented) -> bytes:
    """Replace the tracked links of `page` one by one, from the last."""
    links = scan(page).links
    assert len(links) == len(result.links)
    for link, outcome in reversed(list(zip(links, result.links, strict=True))):
        assert outcome.destination == destination(page[link.start : link.end], "utf-8").text
        if outcome.tracked:
            new = url(outcome.link_index, outcome.destination)
            page = page[: link.start] + new + page[link.end :]
    return page


@no_deadline
@given(PAGES, st.sampled_from([[*HTML], QUOTED_PRINTABLE, BASE64]))
def test_again_changes_no_link(page: bytes, fields: Fields) -> None:
    """A message that comes round again keeps its links."""
    encode = {id(QUOTED_PRINTABLE): lambda x: quoted_printable(x, 76), id(BASE64): base64.b64encode}
    body = encode.get(id(fields), bytes)(page)
    first = run(fields, body, CLICKS)
    if isinstance(first, Untouched):
        return

    again = run(fields, first.body, CLICKS)

    assert again == Untouched(Reason.NOTHING_TO_DO) or all(
        link.reason in (Reason.ALREADY_TRACKED, Reason.LINE_TOO_LONG)
        for link, before in zip(done(fields, first.body, CLICKS).links, first.links, strict=True)
        if before.tracked
    )


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        [HTML, QUOTED_PRINTABLE, BASE64, [("Content-Type", "multipart/mixed; boundary=b")]]
    ),
    st.lists(
        st.one_of(
            st.binary(max_size=20),
            TEXTS,
            st.sampled_from(
                [
                    b"--b",
                    b"--b--",
                    b"\r\n",
                    b"\n",
                    b"Content-Type: text/html\r\n\r\n",
                    b"=3D",
                    b"=\r\n",
                    b"Content-Transfer-Encoding: quoted-printable\r\n",
                    b"Content-Type: ",
                ]
            ),
        ),
        max_size=30,
    ).map(b"".join),
)
def test_any_bytes(fields: Fields, body: bytes) -> None:
    """Whatever the bytes: an answer, never an exception, and every edit can be undone."""
    run(fields, body)


@no_deadline
@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=60)), max_size=4), st.binary())
def test_any_header(fields: Fields, body: bytes) -> None:
    """Whatever the header: an answer, never an exception."""
    run(fields, body)
    run([("Content-Type", value) for _, value in fields[:1]], body)


# Hostile input.

FIELDS_OF = {
    "html": HTML,
    "quoted-printable": QUOTED_PRINTABLE,
    "base64": BASE64,
    "multipart": [("Content-Type", "multipart/mixed; boundary=b")],
}


@pytest.mark.parametrize(
    ("kind", "unit"),
    [
        ("html", LINK),
        ("html", LINK + b"\r\n"),
        ("html", b"<a href='http://e.com/\r\n'>"),
        ("html", b"https://e.com/o/" + b"A" * 20),
        ("html", b"-----BEGIN PGP "),
        ("html", b"x-----BEGIN PGP > \t"),
        ("html", b"\t" * 100),
        ("quoted-printable", LINK.replace(b"=", b"=3D")),
        ("quoted-printable", LINK.replace(b"=", b"=3D") + b"=\r\n"),
        ("quoted-printable", b"=\r\n"),
        ("quoted-printable", b"=3D"),
        ("base64", base64.b64encode(b"<a href='http://e.com/'>")),
        ("multipart", b"--b\r\n\r\n-----BEGIN PGP\r\n"),
    ],
)
def test_hostile_body_takes_linear_time(kind: str, unit: bytes) -> None:
    """Four times the body takes about four times the time, whatever is repeated."""
    fields = FIELDS_OF[kind]

    def seconds(size_bytes: int) -> float:
        body = unit * (size_bytes // len(unit))
        times = []
        for _ in range(3):
            started = time.thread_time()
            instrument(fields, body, BOTH, MINTER, LIMITS, lambda: None)
            times.append(time.thread_time() - started)
        return min(times)

    assert seconds(200_000) < 8 * seconds(50_000) + 0.01
