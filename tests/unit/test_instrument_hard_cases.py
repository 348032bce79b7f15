"""Rows of the table of hard cases that no other module of tests has: one test a row.

Each message is read again by the standard library's `email`, which shares no code with the milter.
"""

from __future__ import annotations

import base64
import quopri
import re
from collections.abc import Callable

import pytest

from openclick_milter.instrument import (
    Instrumented,
    Limits,
    Request,
    Untouched,
    instrument,
    undo,
)
from openclick_milter.reasons import Reason
from unit.second_reader import FakeMinter, html_by_email

Fields = list[tuple[str, str]]

MINTER = FakeMinter()
BOTH = Request(opens=True, clicks=True)
HTML: Fields = [("From", "a@example.com"), ("Content-Type", "text/html; charset=utf-8")]
PAGE = b'<html><body><a href="https://shop.example/">x</a></body></html>\r\n'
_OURS = re.compile(r"https://track\.example\.com/c/([\w-]+)")
_IMAGE = re.compile(r'<img src="[^"]+" width="1" height="1" alt="">')


def done(fields: Fields, body: bytes) -> Instrumented:
    """Instrument a message that can be; undoing the edits gives its very bytes back."""
    result = instrument(fields, body, BOTH, MINTER, Limits(), lambda: None)
    assert isinstance(result, Instrumented), result
    assert body == undo(result.body, result.edits)
    return result


def read_again(fields: Fields, body: bytes, charset: str) -> str:
    """Return the HTML as another reader sees it, tracking links and image taken back."""
    (raw,) = html_by_email(fields, body)
    text = _IMAGE.sub("", raw.decode(charset))
    return _OURS.sub(lambda match: _destination(match[1]), text)


def _destination(token: str) -> str:
    sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    return sealed.decode("utf-8").partition(" ")[2]


# Links.


def test_base_is_left_and_changes_nothing() -> None:
    """Absolute links are tracked and relative ones left, with a base or without."""
    body = (
        b'<html><head><base href="https://shop.example/autumn/" target="_blank"></head><body>'
        b'<a href="https://blog.example/wax">x</a> <a href="boots">y</a></body></html>\r\n'
    )

    result = done(HTML, body)

    assert b'<base href="https://shop.example/autumn/" target="_blank">' in result.body
    assert b'<a href="boots">' in result.body
    assert [("https://blog.example/wax", ""), ("boots", Reason.RELATIVE)] == [
        (link.destination, link.reason) for link in result.links
    ]


@pytest.mark.parametrize(
    "destination",
    [
        "https://social.example/@kontor",
        "https://social.example/@kontor/1?mail=a@b.example",
        "https://shop.example/?to=anna@reader.example",
        "https://shop.example?anna@reader.example",
        "https://shop.example/#@top",
    ],
)
def test_at_sign_behind_the_host(destination: str) -> None:
    """In path, query and fragment it is a letter like any other, and no user name before it."""
    body = PAGE.replace(b"https://shop.example/", destination.encode())

    result = done(HTML, body)

    assert [(destination, True)] == [(link.destination, link.tracked) for link in result.links]


@pytest.mark.parametrize("href", ["sms:+494212345", "SMS:+494212345?body=Hello", "sms:"])
def test_sms(href: str) -> None:
    """A link that opens a text message is left."""
    anchor = b'<a href="' + href.encode() + b'">SMS</a>'

    result = done(HTML, PAGE.replace(b"</body>", anchor + b"</body>"))

    assert anchor in result.body
    assert (False, Reason.OTHER_SCHEME) == (result.links[1].tracked, result.links[1].reason)


# Parts that hold a message, or a message's file, of somebody else.


CLOSED = {
    "partial": (
        "message/partial; id=a@b.example; number=1; total=2",
        b"Content-Type: text/html\r\n\r\n" + PAGE,
    ),
    "external body": (
        'message/external-body; access-type=URL; URL="https://files.example/x.html"',
        b"Content-Type: text/html\r\nContent-ID: <1@b.example>\r\n\r\n" + PAGE,
    ),
    "TNEF": ('application/ms-tnef; name="winmail.dat"', b"\x78\x9f\x3e\x22\x01" + PAGE),
    "TNEF by its other name": ("application/vnd.ms-tnef", b"\x78\x9f\x3e\x22\x01" + PAGE),
}


@pytest.mark.parametrize("case", CLOSED)
def test_closed_part_alone(case: str) -> None:
    """The message is untouched: nothing that stands in the part is ours to edit."""
    content_type, content = CLOSED[case]

    result = instrument(
        [("Content-Type", content_type)], content, BOTH, MINTER, Limits(), lambda: None
    )

    assert Untouched(Reason.NO_HTML) == result


@pytest.mark.parametrize("case", CLOSED)
def test_closed_part_beside_html(case: str) -> None:
    """The HTML beside it is instrumented, and its own bytes stay, HTML in them too."""
    content_type, content = CLOSED[case]
    closed = b"--b\r\nContent-Type: " + content_type.encode() + b"\r\n\r\n" + content + b"\r\n--b"
    body = b"--b\r\nContent-Type: text/html\r\n\r\n" + PAGE + closed + b"--\r\n"

    result = done([("Content-Type", "multipart/mixed; boundary=b")], body)

    assert [1] == [link.part for link in result.links]
    assert closed in result.body


# Charsets whose letters have bytes that look like ASCII.


TRAILS = {
    # A second byte of 5C "\", 7C "|", 7D "}", 40 "@", 5B "[", 60 "`"; of GB18030 also digits.
    "shift_jis": "表示ソ能ポマボミ構",
    "cp932": "表示ソ能ポマ構①髙",
    "gbk": "丂乗乣乕亅俙乗",
    "big5": "許功蓋一乙餐育",
    "gb18030": "丂乗\u00e0\u0e01\U00020000亅",
    "euc-kr": "한국어",
}
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "8bit": lambda raw: raw,
    "base64": base64.encodebytes,
    "quoted-printable": quopri.encodestring,
}


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("charset", TRAILS)
def test_letters_that_end_in_an_ascii_byte(charset: str, encoding: str) -> None:
    """Before and behind a link, in a quoted value and in the link itself: none is mistaken."""
    letters = TRAILS[charset]
    page = "".join(
        f'<p title="{letter}" class={letter}>{letter}<a href="https://shop.example/{letter}?{letter}'
        f'={letter}&amp;x">{letter}</a>{letter}</p>\n'
        for letter in letters
    )
    html = f"<html><body>{page}{letters}</body></html>\n"
    body = ENCODERS[encoding](html.encode(charset)).replace(b"\n", b"\r\n")
    fields = [("Content-Type", f"text/html; charset={charset}")]
    fields += [("Content-Transfer-Encoding", encoding)]

    result = done(fields, body)

    wanted = [f"https://shop.example/{letter}?{letter}={letter}&x" for letter in letters]
    assert wanted == [link.destination for link in result.links if link.tracked]
    seen = read_again(fields, result.body, charset).replace("\r\n", "\n")
    assert html.replace("&amp;", "&") == seen


def test_the_letters_have_such_bytes() -> None:
    """The test above tests what it says."""
    tails = {
        charset: {byte for letter in letters for byte in letter.encode(charset)[1:] if byte < 0x80}
        for charset, letters in TRAILS.items()
    }

    assert {ord("\\"), ord("|"), ord("}")} <= tails["shift_jis"] | tails["cp932"]
    assert {ord("\\"), ord("@")} <= tails["big5"] | tails["gbk"]
    assert set(b"0123456789") & tails["gb18030"]
