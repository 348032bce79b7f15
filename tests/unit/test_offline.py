"""A raw message, read and edited as Postfix and pymilter would hand it over."""

import email
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick_milter.controls import Removal
from openclick_milter.offline import remove_fields, split_message

Fields = list[tuple[str, str]]

# What Postfix 3.7.11 and pymilter 1.0.5 made of these bytes, the fields that Postfix adds left out.
MEASURED: dict[str, tuple[bytes, Fields, bytes]] = {
    "folds and blanks": (
        b"Subject: a\r\n\tfold\r\n  more\r\nTab:\tv\r\nTwo:  v\r\nNo:v\r\nEnd: v  \r\n\r\nb\r\n",
        [
            ("Subject", "a\n\tfold\n  more"),
            ("Tab", "\tv"),
            ("Two", " v"),
            ("No", "v"),
            ("End", "v  "),
        ],
        b"b\r\n",
    ),
    "empty value": (b"Empty:\r\nY: b\r\n\r\n", [("Empty", ""), ("Y", "b")], b""),
    "blank before the colon": (b"X-Sp : v\r\n\r\n", [("X-Sp", "v")], b""),
    "NUL in a value": (
        b"Subject: a\0b\r\nX: c\r\n d\0e\r\nY: z\r\n\r\nb\0dy\r\n",
        [("Subject", "a"), ("X", "c\n d"), ("Y", "z")],
        b"b\0dy\r\n",
    ),
    "NUL in a name": (b"A\0B: a\r\nY: b\r\n\r\nx\r\n", [], b"A\0B: a\r\nY: b\r\n\r\nx\r\n"),
    "NUL for a line": (b"A: a\r\n\0\r\nY: b\r\n\r\n", [("A", "a")], b"\0\r\nY: b\r\n\r\n"),
    "no colon": (b"A: a\r\nno colon\r\nY: b\r\n\r\n", [("A", "a")], b"no colon\r\nY: b\r\n\r\n"),
    "no name": (b": a\r\nY: b\r\n\r\n", [], b": a\r\nY: b\r\n\r\n"),
    "8-bit name": (b"X\xe9: a\r\nY: b\r\n", [], b"X\xe9: a\r\nY: b\r\n"),
    "8-bit value": (b"Y: \xff \xc3\xa9\r\n\r\n", [("Y", "\udcff é")], b""),
    "blank line that is none": (
        b"A: a\r\n \r\nX: y\r\n\r\nb\r\n",
        [("A", "a\n "), ("X", "y")],
        b"b\r\n",
    ),
    "continuation first": (b" lead: a\r\nX: y\r\n", [], b" lead: a\r\nX: y\r\n"),
    "CR inside and before the end": (
        b"X: a\rb\r\nY: c\r\r\nZ: d\r\n\r\r\n\r\nb\r\n",
        [("X", "a b"), ("Y", "c"), ("Z", "d")],
        b"\r\nb\r\n",
    ),
    "header only": (b"Subject: a\r\n", [("Subject", "a")], b""),
    "header only, cut off": (b"Subject: a", [("Subject", "a")], b""),
    "body only": (b"\r\nY: a\r\n", [], b"Y: a\r\n"),
    "mbox lines first": (
        b"From someone Mon Jan\r\n>From x\r\nSubject: a\r\n\r\nb\r\n",
        [("Subject", "a")],
        b"b\r\n",
    ),
    "mbox line later": (b"Y: a\r\nFrom x y\r\nZ: b\r\n", [("Y", "a")], b"From x y\r\nZ: b\r\n"),
    "nothing": (b"", [], b""),
}

NAMES = st.sampled_from(["Subject", "X-A", "x-a", "X-Anypost-Tags", "Content-Type"])
WORDS = st.text("abc :=<>\té", max_size=12)
LINE_ENDS = st.sampled_from([b"\r\n", b"\n", b"\r\r\n"])
JUNK_PIECES = (
    *(b"A: b", b"a: c", b"X-Anypost-Tags : a", b": ", b"no colon", b" fold", b"\t"),
    *(b"From x", b">From y", b"\0", b"\r", b"\n", b"\r\n", b"\xff", b"<html>", b"--x"),
)
JUNK = st.lists(st.sampled_from(JUNK_PIECES), max_size=20).map(b"".join)


@pytest.mark.parametrize("case", MEASURED)
def test_a_message_is_split_as_postfix_splits_it(case: str) -> None:
    """Every oddity gives what the milter was seen to get of it."""
    raw, fields, body = MEASURED[case]

    assert (fields, body) == split_message(raw)


@pytest.mark.parametrize("case", MEASURED)
def test_bare_newlines_give_the_same_fields(case: str) -> None:
    """A file with LF is read like one with CRLF, and its body keeps its LF."""
    raw, fields, body = MEASURED[case]

    split = split_message(raw.replace(b"\r\n", b"\n"))

    assert (fields, body.replace(b"\r\n", b"\n")) == split


@given(st.lists(st.tuples(NAMES, WORDS, LINE_ENDS), max_size=8), st.binary(max_size=40))
def test_a_well_formed_header_reads_as_in_the_standard_library(
    lines: list[tuple[str, str, bytes]], body: bytes
) -> None:
    """Another reader finds the same names and values in the same order."""
    written = [f"{name}: {value}".encode() + end for name, value, end in lines]
    raw = b"".join(written) + b"\n" + body

    fields, rest = split_message(raw)

    parsed = email.message_from_bytes(re.sub(rb"\r+\n", b"\n", b"".join(written)) + b"\n")
    assert [name for name, _ in fields] == parsed.keys()
    assert [value for _, value in fields] == [value for _, value, _ in lines]
    assert rest == body


@given(JUNK)
def test_what_is_not_removed_stays(raw: bytes) -> None:
    """Head and body laid side by side, and a removal of nothing, are the message byte for byte."""
    fields, body = split_message(raw)

    assert raw.endswith(body)
    assert raw == remove_fields(raw, []) == remove_fields(raw, [Removal("Not-There", 1)])
    assert raw == remove_fields(raw, [Removal(name, len(fields) + 1) for name, _ in fields])


@given(
    st.lists(st.tuples(NAMES, WORDS, LINE_ENDS, st.booleans()), max_size=8), st.binary(max_size=40)
)
def test_what_is_removed_is_just_that(
    lines: list[tuple[str, str, bytes, bool]], body: bytes
) -> None:
    """Whichever fields go, whatever their line ends and folds, the others keep their bytes."""
    counts: dict[str, int] = {}
    removals, whole, left = [], b"", b""
    for name, value, end, removed in lines:
        written = f"{name}: {value}".encode() + end + b"  folded" + end
        counts[name.lower()] = counts.get(name.lower(), 0) + 1
        whole += written
        if removed:
            removals.append(Removal(name.upper(), counts[name.lower()]))
        else:
            left += written

    assert left + b"\n" + body == remove_fields(whole + b"\n" + body, removals)


def test_the_last_line_of_a_header_without_body_goes_whole() -> None:
    """A field that the file's end cuts off leaves nothing behind."""
    assert remove_fields(b"A: a\nX-A: b\n c", [Removal("x-a", 1)]) == b"A: a\n"


def test_mbox_lines_stay() -> None:
    """They are no fields, so nothing counts or removes them."""
    raw = b"From x\n>From: y\nFrom: z\n\n"

    assert remove_fields(raw, [Removal("From", 1)]) == b"From x\n>From: y\n\n"


def test_a_field_of_the_body_stays() -> None:
    """What looks like a control header below the header is the message's own text."""
    raw = b"A: a\n\nX-A: b\n"

    assert remove_fields(raw, [Removal("X-A", 1)]) == raw
