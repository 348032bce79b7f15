"""What an href leads to, and which hrefs are left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick_milter.destinations import (
    _C0_AND_SPACE,
    _DROPPED,
    _PLAIN,
    Destination,
    _reason,
    destination,
    is_byte_safe,
)
from openclick_milter.reasons import Reason
from unit.second_reader import no_deadline


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (b"http://example.com", "http://example.com"),
        (b"HTTPS://EXAMPLE.com/A?b=%7e#C", "HTTPS://EXAMPLE.com/A?b=%7e#C"),
        (b" \t\r\n\x00\x1fhttp://example.com/ ", "http://example.com/"),
        (b"http://exam\r\nple.com/a\tb", "http://example.com/ab"),
        (b"ht\ntp://example.com/", "http://example.com/"),
        (b"http&#58;//example.com/?a=1&amp;b=2", "http://example.com/?a=1&b=2"),
        (b"http://example.com/?a=1&copy=2", "http://example.com/?a=1&copy=2"),
        (b"http://example.com/a b\\c|d[e]{f}", "http://example.com/a b\\c|d[e]{f}"),
        (b"http://user:pass@example.com:8080/", "http://user:pass@example.com:8080/"),
        (b"http://me@example.com", "http://me@example.com"),
        (b"http://192.0.2.1:80?x", "http://192.0.2.1:80?x"),
        (b"http://[2001:db8::1]:8080/", "http://[2001:db8::1]:8080/"),
        (b"http://xn--mnchen-3ya.de/", "http://xn--mnchen-3ya.de/"),
        (b"http://my_host/", "http://my_host/"),
        (b"http://example.com./", "http://example.com./"),
        (b"http://example.com/{{name}}/%recipient%/*|X|*", None),
        (b"http://example.com#x@y", "http://example.com#x@y"),
        (b"http://example.com/\xc3\xbc", "http://example.com/\u00fc"),
        ("http://m\u00fcnchen.de/gr\u00fcn#\U0001f600".encode(), None),
    ],
)
def test_link_to_the_web(written: bytes, meant: str | None) -> None:
    """A plain http or https link is sealed as a browser would follow it, unrepaired."""
    expected = written.decode("utf-8") if meant is None else meant

    assert Destination(expected, "") == destination(written, "utf-8")


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (b"", Reason.EMPTY),
        (b" \n ", Reason.EMPTY),
        (b"#top", Reason.ANCHOR),
        (b"mailto:a@example.com", Reason.OTHER_SCHEME),
        (b"tel:+49", Reason.OTHER_SCHEME),
        (b"javascript:void(0)", Reason.OTHER_SCHEME),
        (b"data:text/html,x", Reason.OTHER_SCHEME),
        (b"cid:x@y", Reason.OTHER_SCHEME),
        (b"ftp://example.com/", Reason.OTHER_SCHEME),
        (b"hhttp://example.com/", Reason.OTHER_SCHEME),
        (b"/path", Reason.RELATIVE),
        (b"www.example.com", Reason.RELATIVE),
        (b"{{url}}", Reason.RELATIVE),
        (b"//example.com/x", Reason.NO_SCHEME),
        (b"http:/example.com", Reason.ODD_URL),
        (b"http:example.com", Reason.ODD_URL),
        (b"http:", Reason.ODD_URL),
        (b"http://", Reason.ODD_URL),
        (b"http:///example.com", Reason.ODD_URL),
        (b"http://?x", Reason.ODD_URL),
        (b"http:\\\\example.com", Reason.ODD_URL),
        (b"http://example.com\\x", Reason.ODD_URL),
        (b"http://user@/x", Reason.ODD_HOST),
        (b"http://a@b@example.com/", Reason.ODD_HOST),
        (b"http://exa mple.com/", Reason.ODD_HOST),
        (b"http://exa%6dple.com/", Reason.ODD_HOST),
        (b"http://example.com:port/", Reason.ODD_HOST),
        (b"http://../", Reason.ODD_HOST),
        (b"http://<b>/", Reason.ODD_HOST),
        (b"http://example\x00.com/", Reason.CONTROL_CHARACTER),
        (b"http://example.com/a&#1;b", Reason.CONTROL_CHARACTER),
        (b"http://{{host}}/x", Reason.TEMPLATE_HOST),
        (b"http://{{ host }}.example.com/x", Reason.TEMPLATE_HOST),
        (b"https://%recipient.domain%/x", Reason.TEMPLATE_HOST),
        (b"http://*|HOST|*/x", Reason.TEMPLATE_HOST),
        (b"http://[[host]]/x", Reason.TEMPLATE_HOST),
        (b"http://<%= host %>/x", Reason.TEMPLATE_HOST),
        (b"http://&lt;%= host %&gt;/x", Reason.TEMPLATE_HOST),
        (b"http://${host}/x", Reason.TEMPLATE_HOST),
        (b"http://{% if x %}a{% endif %}/x", Reason.TEMPLATE_HOST),
    ],
)
def test_link_that_is_left_alone(written: bytes, reason: Reason) -> None:
    """What is no plain link to the web is left, each kind with its own reason."""
    assert reason == destination(written, "utf-8").reason


@pytest.mark.parametrize(
    ("charset", "written", "meant"),
    [
        ("iso-8859-1", b"http://example.com/\xfc", "http://example.com/\u00fc"),
        ("windows-1252", b"http://example.com/\x80", "http://example.com/\u20ac"),
        ("shift_jis", "http://example.com/\u8868".encode("shift_jis"), "http://example.com/\u8868"),
        ("gb2312", "http://example.com/\u4e2d".encode("gb2312"), "http://example.com/\u4e2d"),
    ],
)
def test_charset_of_the_part(charset: str, written: bytes, meant: str) -> None:
    """Bytes beyond ASCII are read in the charset that the part declares."""
    assert Destination(meant, "") == destination(written, charset)


@pytest.mark.parametrize("charset", ["", "us-ascii", "utf-8", "x-unknown", "unicode_escape", "zip"])
def test_charset_that_does_not_decode(charset: str) -> None:
    """A link that cannot be read in the declared charset is left as it is."""
    found = destination(b"http://example.com/\xfc", charset)

    assert Reason.UNDECODABLE_URL == found.reason
    assert found.text == "http://example.com/\\xfc"


@pytest.mark.parametrize(
    "charset", ["UTF-16", "utf-16le", "UTF-32", "utf-7", "unicode-1-1-utf-7", "ISO-2022-JP",
                "csISO2022KR", "iso-2022-cn", "HZ-GB-2312", "cp037", "utf_7", "ISO-10646-UCS-2"]
)  # fmt: skip
def test_charset_that_is_not_byte_safe(charset: str) -> None:
    """HTML in which `<` can be half a letter is not edited byte by byte."""
    assert not is_byte_safe(charset)


@pytest.mark.parametrize(
    "charset", ["", "utf-8", "UTF8", "us-ascii", "ISO-8859-15", "windows-1251", "shift_jis", "gbk",
                "big5", "gb18030", "euc-kr", "koi8-r", "iso-8559-1", "x-user-defined", "3Dutf-8"]
)  # fmt: skip
def test_charset_that_is_byte_safe(charset: str) -> None:
    """Charsets in which ASCII bytes are ASCII, misspelt ones too, are edited in place."""
    assert is_byte_safe(charset)


@no_deadline
@given(st.binary(max_size=60), st.text(max_size=12))
def test_any_bytes(raw: bytes, charset: str) -> None:
    """Whatever the bytes and the charset's name: an answer, never an exception."""
    found = destination(b"http://" + raw, charset)
    is_byte_safe(charset)

    assert found.reason or found.text.lower().startswith("http://")


@no_deadline
@given(st.text(alphabet="abzA0.-_:/?#@%&;{ \\\n\x00é", max_size=20))
def test_quick_check(rest: str) -> None:
    """What the quick check lets through, the thorough checks let through as well."""
    text = "http://" + rest

    if _PLAIN.fullmatch(text):
        assert _reason(text) == ""
        assert text == text.strip(_C0_AND_SPACE).translate(_DROPPED)
