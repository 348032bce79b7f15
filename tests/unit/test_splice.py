"""Replacing decoded ranges in the encoded domain."""

from __future__ import annotations

import base64
import binascii
import email
import quopri
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick_milter.reasons import Reason, Unreadable
from openclick_milter.splice import (
    Change,
    Edit,
    LineRoom,
    apply,
    decode,
    decode_unchecked,
    splice,
    undo,
)
from unit.second_reader import no_deadline

CRLF = b"\r\n"
URL = b"https://track.example.com/c/" + b"A1b2C3d4" * 20


def spliced(raw: bytes, encoding: str, changes: list[Change], newline: bytes = CRLF) -> bytes:
    """Return `raw` with `changes` made, having checked that it can be undone."""
    content = decode(raw, encoding)
    around = b"before" + raw + b"after"
    edits = splice(raw, content, encoding, changes, len(b"before"), newline)
    result = apply(around, edits)
    assert undo(result, edits) == around
    return result[len(b"before") : -len(b"after")]


def change(raw: bytes, encoding: str, old: bytes, new: bytes) -> Change:
    """Return the change that replaces the first `old` in the decoded content of `raw`."""
    start = decode(raw, encoding).index(old)
    return Change(start, start + len(old), new)


# Decoding.


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"a=3Db=3db",
        b"soft=\r\nbreak=\nhere",
        b"ends in a soft break=\r\n",
        b"ends in half a soft break=",
        b"trailing blanks  \r\nx",
        b"\xe4 raw 8-bit \x00",
        b"a=0D=0Ab\r\nc\nd",
    ],
)
def test_quoted_printable_as_email_reads_it(raw: bytes) -> None:
    """What is legal is decoded as the standard library's `email` decodes it."""
    message = email.message_from_bytes(b"Content-Transfer-Encoding: quoted-printable\n\n" + raw)

    assert message.get_payload(decode=True) == decode(raw, "quoted-printable")


@pytest.mark.parametrize(
    "raw",
    [
        b"a=b",
        b"a=G0",
        b"a==3D",
        b"=3D==",
        b"a=4",
        b"a=A=",
        b"soft= \r\nbreak",
        b"=\rX\n",
        b"=\rX\n=Z",
        b"=\r",
        b"href=http://x",
    ],
)
def test_broken_quoted_printable(raw: bytes) -> None:
    """An escape that readers could understand differently is refused."""
    with pytest.raises(Unreadable, match=Reason.BAD_QUOTED_PRINTABLE):
        decode(raw, "quoted-printable")


@no_deadline
@given(st.lists(st.sampled_from(["=", "\r", "\n", "3D", "4", "z", " ", "=3D", "=\r\n"])))
def test_quoted_printable_is_refused_exactly_where_it_is_illegal(pieces: list[str]) -> None:
    """The arithmetic that finds illegal escapes agrees with the grammar, letter by letter."""
    raw = "".join(pieces).encode()
    legal = re.fullmatch(rb"(?:[^=]|=[0-9A-Fa-f]{2}|=\r?\n)*=?", raw) is not None

    try:
        decoded = decode(raw, "quoted-printable")
    except Unreadable:
        assert not legal
    else:
        assert legal
        assert decoded == quopri.decodestring(raw)


@no_deadline
@given(st.lists(st.sampled_from(["=", "\r", "\n", "3D", "4", "z", " ", "=3D", "=\r\n"])), st.data())
def test_whoever_did_not_look_is_refused_by_the_splice(
    pieces: list[str], data: st.DataObject
) -> None:
    """Decoded unchecked, a part is refused exactly where `decode` refuses it, changed or not."""
    raw = "".join(pieces).encode()
    legal = re.fullmatch(rb"(?:[^=]|=[0-9A-Fa-f]{2}|=\r?\n)*=?", raw) is not None
    content = decode_unchecked(raw, "quoted-printable")
    changes = draw_changes(data, content)

    try:
        splice(raw, content, "quoted-printable", changes, 0, b"\r\n")
    except Unreadable:
        assert not legal
    else:
        assert legal
        assert content == decode(raw, "quoted-printable")


@pytest.mark.parametrize(
    "raw", [b"QQ", b"QQ==QQ==", b"QQ==\r\nQQ==", b"Q!Q=", b"QQ==\r\n-- \r\nfooter", b"====", b"Q"]
)
def test_broken_base64(raw: bytes) -> None:
    """Base64 with stray characters, padding in the middle or bits missing is refused."""
    with pytest.raises(Unreadable, match=Reason.BAD_BASE64):
        decode(raw, "base64")


def test_unknown_encoding() -> None:
    """A transfer encoding that is none is refused."""
    with pytest.raises(Unreadable, match=Reason.UNKNOWN_ENCODING):
        decode(b"x", "x-uuencode")


# Quoted-printable.


def test_value_on_one_line() -> None:
    """Only the value changes; a soft break keeps what follows it verbatim on its own line."""
    raw = b'x\r\n<a href=3D"http://e/">caf=e9 yyyyyyyyyyyyyyyyyyyyyyyyyy</a>\r\nz=\r\n'

    result = spliced(raw, "quoted-printable", [change(raw, "quoted-printable", b"http://e/", URL)])

    assert result.startswith(b'x\r\n<a href=3D"https://track.example.com/c/A1b2')
    assert result.endswith(b'=\r\n">caf=e9 yyyyyyyyyyyyyyyyyyyyyyyyyy</a>\r\nz=\r\n')
    assert max(map(len, result.split(CRLF))) <= 76


def test_short_value_needs_no_break() -> None:
    """Where there is room, no soft break is added."""
    raw = b'<a href=3D"http://example.com/">x</a>\r\n'
    wanted = change(raw, "quoted-printable", b"http://example.com/", b"https://t/c/x")

    assert spliced(raw, "quoted-printable", [wanted]) == b'<a href=3D"https://t/c/x">x</a>\r\n'


@pytest.mark.parametrize(
    "raw",
    [
        b'<a href=3D"http://exam=\r\nple.com/?a=3D1&amp;b=\r\n=3D2" x=3D"=\r\ny">z</a>\r\n',
        b'<a href=3D"=\r\nhttp://example.com/?a=3D1&amp;b=3D2=\r\n" x=3D"y">z</a>\r\n',
        b'<a href=\r\n=3D"http:=\n//example.com/?a=3d1&amp;b=3d2" x=3D"y">z</a>',
    ],
)
def test_value_across_soft_breaks(raw: bytes) -> None:
    """A value that soft breaks run through is found, and replaced with its breaks."""
    value = b"http://example.com/?a=1&amp;b=2"
    before = decode(raw, "quoted-printable")

    result = spliced(raw, "quoted-printable", [change(raw, "quoted-printable", value, URL)])

    assert before.replace(value, URL) == decode(result, "quoted-printable")
    assert result.endswith(raw[raw.index(b'" x') :])


def test_value_across_hard_line_ends() -> None:
    """A value that was written over several lines is replaced as a whole."""
    raw = b'<a href=3D"http://e/\r\nx\r\ny">z</a>\r\n'
    wanted = change(raw, "quoted-printable", b"http://e/\r\nx\r\ny", b"https://t/c/x")

    assert spliced(raw, "quoted-printable", [wanted]) == b'<a href=3D"https://t/c/x">z</a>\r\n'


def test_insertion_at_the_end_of_a_full_line() -> None:
    """Where a line has no room even for a soft break, its last character moves on."""
    raw = b"x" * 73 + b"=3D\r\nnext"

    result = spliced(raw, "quoted-printable", [Change(74, 74, b"<img>")])

    assert result == b"x" * 73 + b"=\r\n=3D<img>\r\nnext"


def test_line_that_was_too_long_already() -> None:
    """A line over 76 bytes, which exists in real mail, grows no longer."""
    raw = b"x" * 500 + b"http://e/" + b"y" * 500 + b"\r\n"

    result = spliced(raw, "quoted-printable", [change(raw, "quoted-printable", b"http://e/", URL)])

    assert max(map(len, result.split(CRLF))) <= 500
    assert decode(result, "quoted-printable") == raw.replace(b"http://e/", URL)


def test_escape_in_the_replacement_is_not_split() -> None:
    """`=` in what is put in becomes `=3D`, and no soft break falls into it."""
    for indent in range(76):
        raw = b"x" * indent
        result = spliced(raw, "quoted-printable", [Change(indent, indent, b"=" * 60)])

        assert decode(result, "quoted-printable") == raw + b"=" * 60
        assert max(map(len, result.split(CRLF))) <= 76


QP_UNITS = st.sampled_from(
    [b"a", b"http://e/", b" ", b"=3D", b"=e9", b"=\r\n", b"\r\n", b"x" * 70, b".", b"\t", b"=0D=0A"]
)


@no_deadline
@given(st.lists(QP_UNITS, max_size=40), st.data())
def test_any_change_to_quoted_printable(units: list[bytes], data: st.DataObject) -> None:
    """The result decodes to the spliced content; lines stay within 76 bytes, or grow no longer."""
    raw = b"".join(units)
    changes = draw_changes(data, decode(raw, "quoted-printable"))

    result = spliced(raw, "quoted-printable", changes)

    assert decode(result, "quoted-printable") == content_with(raw, "quoted-printable", changes)
    longest = max(map(len, re.split(rb"\r?\n", raw)))
    assert max(map(len, re.split(rb"\r?\n", result))) <= max(76, longest)


def draw_changes(data: st.DataObject, content: bytes) -> list[Change]:
    """Draw changes in order, without overlap."""
    places = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=6)))
    pairs = zip(places[::2], places[1::2], strict=False)
    new = st.sampled_from([URL, b"https://t/c/x", b'<img src="x" alt="">'])
    return [Change(start, end, data.draw(new)) for start, end in pairs]


def content_with(raw: bytes, encoding: str, changes: list[Change]) -> bytes:
    """Return the decoded content with `changes` made, by the plainest means."""
    content = decode(raw, encoding)
    for start, end, new in reversed(changes):
        content = content[:start] + new + content[end:]
    return content


# base64.


@pytest.mark.parametrize(("width", "newline"), [(76, CRLF), (60, CRLF), (72, b"\n"), (4, CRLF)])
@pytest.mark.parametrize("ending", [b"", b"\r\n", b"\r\n\r\n"])
def test_base64_keeps_its_form(width: int, newline: bytes, ending: bytes) -> None:
    """Line length, line ends and what stands around the encoded text stay."""
    content = b'<a href="http://example.com/">' + b"x" * 300
    text = base64.b64encode(content)
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    raw = newline + newline.join(lines) + ending

    wanted = change(raw, "base64", b"http://example.com/", URL)
    result = spliced(raw, "base64", [wanted], newline)

    assert result.startswith(newline)
    assert result.endswith(ending)
    body = result[len(newline) : len(result) - len(ending)]
    assert {width} == {len(line) for line in body.split(newline)[:-1]}
    assert binascii.a2b_base64(result) == content.replace(b"http://example.com/", URL)


def test_base64_on_one_endless_line() -> None:
    """Base64 that was never folded is folded now, since it grows."""
    raw = base64.b64encode(b"http://e/" + b"x" * 3000)

    result = spliced(raw, "base64", [change(raw, "base64", b"http://e/", URL)])

    assert {len(line) for line in result.split(CRLF)[:-1]} == {76}


@no_deadline
@given(st.binary(min_size=1, max_size=300), st.data())
def test_any_change_to_base64(content: bytes, data: st.DataObject) -> None:
    """The result decodes to the spliced content."""
    raw = base64.encodebytes(content).replace(b"\n", CRLF)
    changes = draw_changes(data, content)

    assert binascii.a2b_base64(spliced(raw, "base64", changes)) == content_with(
        raw, "base64", changes
    )


# Without encoding.


@pytest.mark.parametrize("encoding", ["", "7bit", "8bit", "binary"])
def test_identity(encoding: str) -> None:
    """Bytes are replaced where they stand."""
    raw = b"<a href='http://e/'>\xff</a>"

    result = spliced(raw, encoding, [change(raw, encoding, b"http://e/", URL)])

    assert raw.replace(b"http://e/", URL) == result


def test_room_on_a_line() -> None:
    """Growth is counted line by line, several replacements on one line together."""
    raw = b"x" * 10 + CRLF + b"y" * 10 + b"\n" + b"z" * 10
    room = LineRoom(raw, 20)

    taken = [
        room.take(0, 1, 6),  # 15 on the first line
        room.take(9, 10, 6),  # 20
        room.take(10, 10, 1),  # would be 21
        room.take(12, 12, 10),  # the second line: 20
        room.take(13, 14, 2),  # would be 21
        room.take(15, 16, 1),  # as long as before
        room.take(23, 33, 20),  # the third line: 20
        room.take(33, 33, 1),  # would be 21
    ]

    assert taken == [True, True, False, True, False, True, True, False]


def test_room_across_lines() -> None:
    """A replaced range that holds a line end joins two lines."""
    raw = b"xxxxx\r\nyyyyy\r\nzzzzz"

    assert not LineRoom(raw, 10).take(4, 8, 3)
    assert LineRoom(raw, 11).take(4, 8, 3)


def test_line_that_was_too_long_takes_no_more() -> None:
    """On a line over the limit only what makes it no longer fits."""
    room = LineRoom(b"x" * 2000, 998)

    assert [room.take(0, 9, 9), room.take(20, 29, 5), room.take(40, 49, 10)] == [True, True, False]


def test_undo() -> None:
    """The edits alone turn the new body back into the old one."""
    edits = [Edit(1, b"bc", b"XXXX"), Edit(4, b"", b"Y"), Edit(5, b"f", b"")]

    assert apply(b"abcdefg", edits) == b"aXXXXdYeg"
    assert undo(b"aXXXXdYeg", edits) == b"abcdefg"
