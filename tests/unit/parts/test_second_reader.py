"""The parts that we see are those that the standard library's `email` and stalwart see."""

from __future__ import annotations

import email.message
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclick_milter.parts import Part, find_parts
from openclick_milter.reasons import Reason, Unreadable
from unit.parts.listed_parts import LIMITS, MIXED, is_entered
from unit.second_reader import CORPUS, NO_CORPUS, corpus_messages, read_message, split_message

LINES = st.sampled_from(
    [
        b"--b",
        b"--b--",
        b"--bb",
        b"--bb--",
        b"--b ",
        b"--b-- \t",
        b"--bx",
        b"",
        b"",
        b"",
        b"text",
        b" x",
        b"Content-Type: text/html",
        b"Content-Type: multipart/mixed; boundary=bb",
        b"X-Y: z",
        b"Content-Type: multipart/signed; boundary=bb",
        b"Content-Disposition: attachment",
        b"Content-Type: message/rfc822",
        b"Content-Transfer-Encoding: base64",
    ]
)


def same_as_email(fields: list[tuple[str, str]], body: bytes) -> list[Part]:
    """Check that `email` sees the parts that we see; return them, [] where we refuse."""
    try:
        parts = find_parts(fields, body, LIMITS)
    except Unreadable:
        return []
    todo = [read_message(fields, body)]
    for part in parts:
        theirs = todo.pop(0)
        if part.left == Reason.BAD_CONTENT_TYPE:
            continue
        assert part.content_type == theirs.get_content_type()
        if is_entered(part):
            todo[:0] = payload_parts(theirs)
        elif not theirs.get_content_type().startswith(("multipart/", "message/")):
            del theirs["Content-Transfer-Encoding"]
            assert body[part.start : part.end] == theirs.get_payload(decode=True)
    assert not todo
    return parts


def payload_parts(message: email.message.Message) -> list[email.message.Message]:
    """Return the parts of a multipart."""
    payload = message.get_payload()
    assert isinstance(payload, list)
    return [part for part in payload if isinstance(part, email.message.Message)]


@settings(max_examples=500, deadline=None)
@given(st.lists(LINES, max_size=25), st.booleans())
def test_agrees_with_email(lines: list[bytes], well_ended: bool) -> None:
    """Any jumble of boundaries and headers that we accept has the parts that `email` sees."""
    body = b"\r\n".join([b"--b", *lines, *([b"--b--", b""] if well_ended else [])])

    same_as_email(MIXED, body)


@pytest.mark.skipif(not CORPUS.is_dir(), reason=NO_CORPUS)
def test_corpus_agrees_with_email() -> None:
    """In every message of the corpus that we accept, `email` sees the same parts."""
    messages = accepted = 0
    for _, raw in corpus_messages():
        fields, body = split_message(raw)
        messages += 1
        if any(part.defects for part in read_message(fields, body).walk()):
            continue  # such as a boundary parameter that is folded, which `email` does not unfold
        accepted += bool(same_as_email(fields, body))
    assert accepted >= messages // 2


@pytest.mark.skipif(not CORPUS.is_dir(), reason=NO_CORPUS)
def test_corpus_agrees_with_stalwart() -> None:
    """Where stalwart's expected tree lists an HTML leaf at the top level, so do we."""
    compared = 0
    for path in sorted((CORPUS / "stalwart-mail-parser").glob("**/*.json")):
        source = path.with_suffix(".eml")
        if not source.is_file():
            continue
        fields, body = split_message(re.sub(rb"\r?\n", b"\r\n", source.read_bytes()))
        try:
            parts = find_parts(fields, body, LIMITS)
        except Unreadable:
            continue
        if any(part.left for part in parts):
            continue
        expected = json.loads(path.read_text(encoding="utf-8"))["parts"]
        theirs = [next(iter(part["body"])) for part in expected]
        ours = [part.content_type for part in parts]
        assert len(ours) == len(theirs), path.name
        for name, kind in zip(ours, theirs, strict=True):
            assert name.startswith("multipart/") == (kind == "Multipart"), path.name
        compared += 1
    assert compared >= 50
