"""What holds of any message."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclick_milter.destinations import destination
from openclick_milter.instrument import (
    Instrumented,
    Untouched,
    instrument,
)
from openclick_milter.links import scan
from openclick_milter.reasons import Reason
from unit.instrument.one_message import (
    BASE64,
    BOTH,
    CLICKS,
    HTML,
    LIMITS,
    MINTER,
    PAGE,
    QUOTED_PRINTABLE,
    Fields,
    done,
    run,
    url,
)
from unit.second_reader import IMAGE, FakeMinter, html_by_email, no_deadline


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
