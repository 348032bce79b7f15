"""Real messages: exact, explained, and read by others as we mean it."""

from __future__ import annotations

import collections
import re

import pytest

from openclick_milter.destinations import destination
from openclick_milter.instrument import Instrumented, Limits, Request, Untouched, instrument, undo
from openclick_milter.links import scan
from openclick_milter.parts import Part, find_parts
from openclick_milter.reasons import Reason, Unreadable
from openclick_milter.splice import decode
from unit.links.link_readers import NO_ORACLE, hrefs_by_tokenizer, hrefs_by_us
from unit.second_reader import (
    CORPUS,
    IMAGE,
    IMAGE_BASE,
    LINK_BASE,
    NO_CORPUS,
    FakeMinter,
    corpus_messages,
    html_by_email,
    read_message,
    split_message,
)

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=NO_CORPUS)

BOTH = Request(opens=True, clicks=True, signed_ok=True)


def attempt(raw: bytes) -> tuple[list[tuple[str, str]], bytes, Instrumented | Untouched]:
    """Instrument one message of the corpus; return it with the result."""
    fields, body = split_message(raw)
    return fields, body, instrument(fields, body, BOTH, FakeMinter(), Limits(), lambda: None)


def html_parts(fields: list[tuple[str, str]], body: bytes) -> list[tuple[Part, bytes]]:
    """Return the HTML parts that could be edited, with their decoded content."""
    try:
        parts = find_parts(fields, body, Limits())
        return [
            (part, decode(body[part.start : part.end], part.encoding))
            for part in parts
            if part.content_type == "text/html" and not part.left
        ]
    except Unreadable:
        return []


def test_every_message_is_answered() -> None:
    """Each message is instrumented, or untouched with a reason that is listed."""
    answers: collections.Counter[str] = collections.Counter()
    for name, raw in corpus_messages():
        _, body, result = attempt(raw)
        if isinstance(result, Instrumented):
            assert undo(result.body, result.edits) == body, name
            answers["instrumented"] += 1
        else:
            answers[Reason(result.reason).name] += 1

    assert answers.total() >= 180
    assert answers["instrumented"] >= 30


def test_readers_see_only_links_and_image_changed() -> None:
    """For `email`, every part is as before, and HTML differs by tracking URLs and the image."""
    messages = 0
    for name, raw in corpus_messages():
        fields, body, result = attempt(raw)
        if isinstance(result, Untouched):
            continue
        before, after = read_message(fields, body), read_message(fields, result.body)
        for old, new in zip(before.walk(), after.walk(), strict=True):
            assert old.items() == new.items(), name
            if not old.is_multipart():
                content = new.get_payload(decode=True)
                assert without_tracking(content, result) == old.get_payload(decode=True), name
        assert (before.preamble, before.epilogue) == (after.preamble, after.epilogue), name
        messages += 1
    assert messages >= 30


def without_tracking(content: object, result: Instrumented) -> bytes:
    """Take tracking URLs and the image out of a part again."""
    assert isinstance(content, bytes)
    raw_values = {edit.replacement: edit.original for edit in result.edits}
    content = content.replace(b"\r\n" + IMAGE + b"\r\n", b"").replace(IMAGE, b"")
    for link in result.links:
        if link.tracked:
            url = FakeMinter().link_url(link.link_index, link.destination)
            assert url is not None
            written = raw_values.get(url.encode(), link.destination.encode())
            content = content.replace(url.encode(), written)
    return content


def test_links_of_every_html_part() -> None:
    """No http link that a tokenizer finds is missed, none is extra, `</body>` is the same."""
    parts = links = 0
    for name, raw in corpus_messages():
        for _, html in html_parts(*split_message(raw)):
            unix = html.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            expected, last_body_end = hrefs_by_tokenizer(unix)
            assert expected == hrefs_by_us(unix), name
            assert last_body_end == scan(unix).last_body_end, name
            parts += 1
            links += sum(value.lower().startswith("http") for value in expected)
    assert parts >= 30
    assert links >= 4


def test_no_message_loses_a_link() -> None:
    """In an instrumented message every plain link to the web is tracked."""
    tracked = 0
    for name, raw in corpus_messages():
        fields, body, result = attempt(raw)
        if isinstance(result, Untouched):
            continue
        wanted = [
            destination(html[link.start : link.end], part.charset)
            for part, html in html_parts(fields, body)
            for link in scan(html).links
        ]
        assert [target.text for target in wanted] == [link.destination for link in result.links]
        for target, link in zip(wanted, result.links, strict=True):
            reasons = {target.reason, Reason.LINE_TOO_LONG} if not link.tracked else {""}
            assert link.reason in reasons, name
            tracked += link.tracked
        found = b"".join(html_by_email(fields, result.body))
        assert found.count(LINK_BASE.encode()) == sum(link.tracked for link in result.links), name
        assert found.count(IMAGE_BASE.encode()) == result.image.placed, name
    assert tracked >= 3


def test_quoted_printable_lines() -> None:
    """In quoted-printable no line of the result is over 76 bytes unless one was before."""
    for name, raw in corpus_messages():
        fields, body, result = attempt(raw)
        if isinstance(result, Untouched):
            continue
        old, new = html_parts(fields, body), html_parts(fields, result.body)
        for (part, _), (changed, _) in zip(old, new, strict=True):
            if part.encoding == "quoted-printable":
                before = longest_line(body[part.start : part.end])
                after = longest_line(result.body[changed.start : changed.end])
                assert after <= max(76, before), name


def longest_line(text: bytes) -> int:
    """Return the length of the longest line."""
    return max(map(len, re.split(rb"\r?\n", text)))


def test_oracle_is_there() -> None:
    """Says in the report of a run whether the tokenizer took part."""
    pytest.importorskip("turbohtml", reason=NO_ORACLE)
