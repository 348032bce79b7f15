"""The answers of the tracking domain, to the byte."""

import re

import pytest

from openclick_sidecar import answers
from openclick_sidecar.answers import Answer

DATE = b"Sun, 23 Nov 2025 22:40:00 GMT"
ALL = {
    "image": answers.IMAGE,
    "not found": answers.NOT_FOUND,
    "bad request": answers.BAD_REQUEST,
    "not allowed": answers.NOT_ALLOWED,
    "options": answers.OPTIONS,
    "root": answers.ROOT,
    "robots": answers.ROBOTS,
    "redirect": answers.redirect(b"https://shop.kontor.example/"),
}
EVERY = pytest.mark.parametrize("answer", ALL.values(), ids=ALL)


def split(rendered: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """Return status line, fields by lower-case name, and body."""
    head, _, body = rendered.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    pairs = [text.split(b": ", 1) for text in lines]
    assert len(pairs) == len({name.lower() for name, _ in pairs})
    return status, {name.lower(): value for name, value in pairs}, body


def test_redirect_to_the_byte() -> None:
    """302, the location, no body, no cache, no referrer."""
    rendered = answers.redirect(b"https://shop.kontor.example/").render(
        DATE, close=False, with_body=True
    )

    assert (
        b"HTTP/1.1 302 Found\r\n"
        b"Location: https://shop.kontor.example/\r\n"
        b"Content-Length: 0\r\n"
        b"Cache-Control: no-store\r\n"
        b"Referrer-Policy: no-referrer\r\n"
        b"X-Content-Type-Options: nosniff\r\n"
        b"Content-Security-Policy: default-src 'none'\r\n"
        b"Date: Sun, 23 Nov 2025 22:40:00 GMT\r\n"
        b"\r\n"
    ) == rendered


@EVERY
def test_nothing_is_cached_and_nothing_refers(answer: Answer) -> None:
    """A cached answer is a hit that nobody sees; a referrer names the mail."""
    _, fields, _ = split(answer.render(DATE, close=False, with_body=True))

    assert (b"no-store", b"no-referrer") == (fields[b"cache-control"], fields[b"referrer-policy"])
    assert (DATE, b"nosniff") == (fields[b"date"], fields[b"x-content-type-options"])
    assert b"connection" not in fields


@EVERY
def test_length_is_the_bodys(answer: Answer) -> None:
    """Or there is no body and no length, with 204."""
    status, fields, body = split(answer.render(DATE, close=False, with_body=True))

    if status.startswith(b"HTTP/1.1 204"):
        assert b"content-length" not in fields
        assert body == b""
    else:
        assert fields[b"content-length"] == b"%d" % len(body)


@EVERY
def test_head_has_the_same_fields_without_the_body(answer: Answer) -> None:
    """As RFC 9110 (9.3.2) asks."""
    full = split(answer.render(DATE, close=False, with_body=True))
    head = split(answer.render(DATE, close=False, with_body=False))

    assert (*full[:2], b"") == head


@EVERY
def test_the_end_of_a_connection_is_announced(answer: Answer) -> None:
    """So that a client does not send its next request into nothing."""
    _, fields, _ = split(answer.render(DATE, close=True, with_body=True))

    assert fields[b"connection"] == b"close"


def test_image_is_a_gif_of_one_pixel() -> None:
    """43 bytes, 1 by 1, with a transparent colour, well-formed to the trailer."""
    _, fields, body = split(answers.IMAGE.render(DATE, close=False, with_body=True))

    assert fields[b"content-type"] == b"image/gif"
    assert len(body) == 43
    assert re.fullmatch(rb"GIF89a\x01\x00\x01\x00.{9}!\xf9\x04\x01.*,.*;", body, re.DOTALL)


def test_methods_are_named() -> None:
    """405 and OPTIONS say what may be asked."""
    for answer in (answers.NOT_ALLOWED, answers.OPTIONS):
        _, fields, _ = split(answer.render(DATE, close=False, with_body=True))

        assert fields[b"allow"] == b"GET, HEAD, OPTIONS"


def test_robots_are_sent_away() -> None:
    """Nothing here is for a search engine."""
    assert answers.ROBOTS.body == b"User-agent: *\nDisallow: /\n"
