"""What leaves a message untouched, or one of its parts."""

from __future__ import annotations

import base64
import dataclasses

import pytest

from openclick_milter.instrument import (
    Limits,
    Request,
    Untouched,
)
from openclick_milter.reasons import Reason
from unit.instrument.one_message import (
    BASE64,
    BOTH,
    CLICKS,
    HTML,
    LINK,
    PAGE,
    QUOTED_PRINTABLE,
    Fields,
    done,
    run,
)
from unit.second_reader import IMAGE


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
