"""The Location of a redirect: the exact destination, and nothing that a header may not hold."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from idna import idnadata

from openclick_sidecar.destinations import location
from unit.samples import CORPUS

WPT = CORPUS / "wpt-url"
SCHEMES = st.sampled_from(["http://", "https://", "HTTP://", "hTTps://"])
PRINTABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E))


@given(SCHEMES, PRINTABLE)
def test_ascii_is_left_as_it_is(scheme: str, rest: str) -> None:
    """Right or wrong, the author's bytes are what the browser gets."""
    assert (scheme + rest).encode() == location(scheme + rest)


@given(SCHEMES, st.text(st.characters()))
def test_the_wire_never_sees_more_than_printable_ascii(scheme: str, rest: str) -> None:
    """No control byte, no blank, no line end: nothing in a token can split the answer."""
    found = location(scheme + rest)

    assert found is not None
    assert re.fullmatch(rb"[\x21-\x7e]+", found)


@given(SCHEMES, st.text())
def test_nothing_is_lost_behind_the_host(scheme: str, rest: str) -> None:
    """What is encoded decodes to what it was."""
    found = location(f"{scheme}host.example/{rest}")

    assert found is not None
    assert unquote_to_bytes(f"{scheme}host.example/{rest}") == unquote_to_bytes(found)


@given(st.text(st.characters()))
def test_only_web_addresses_have_a_location(destination: str) -> None:
    """Any other text has none, whatever somebody with a key has sealed."""
    web = re.match(r"(?i)https?://", destination)

    assert (location(destination) is not None) == (web is not None)


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ("https://a.example/é?q=ü#ß", b"https://a.example/%C3%A9?q=%C3%BC#%C3%9F"),
        ("https://a.example/日本", b"https://a.example/%E6%97%A5%E6%9C%AC"),
        ("https://a.example/a b", b"https://a.example/a%20b"),
        ("https://a.example/a%20b%zz", b"https://a.example/a%20b%zz"),
        ("https://a.example/\r\nSet-Cookie: a=b", b"https://a.example/%0D%0ASet-Cookie:%20a=b"),
        ("https://a.example/\x00\x7f\x1b", b"https://a.example/%00%7F%1B"),
        ("https://bücher.example/", b"https://xn--bcher-kva.example/"),
        ("https://BÜCHER.Example/", b"https://xn--bcher-kva.example/"),
        ("https://straße.example", b"https://xn--strae-oqa.example"),
        ("https://bücher.example:8443/ä", b"https://xn--bcher-kva.example:8443/%C3%A4"),
        ("https://u:pä@bücher.example?q", b"https://u:p%C3%A4@xn--bcher-kva.example?q"),
        ("https://bücher.example./", b"https://xn--bcher-kva.example./"),
        ("https://例え。jp/", b"https://xn--r8jz45g.jp/"),
        ("https://i❤.example/", b"https://xn--i-7iq.example/"),
        ("https://👍.example:80/", b"https://xn--yp8h.example:80/"),
        ("https://a_ü.example/", b"https://xn--a_-yka.example/"),
        ("https://EXAMPLE.com/ä", b"https://EXAMPLE.com/%C3%A4"),
        ("https://[::1]:80/ä", b"https://[::1]:80/%C3%A4"),
        ("https://a.example\\ä", b"https://a.example\\%C3%A4"),
        ("https://evil℀.example/", b"https://evil%E2%84%80.example/"),
        ("https://ü ü/", b"https://%C3%BC%20%C3%BC/"),
        ("https://ü%2f/", b"https://%C3%BC%2f/"),
        ("https://", b"https://"),
    ],
)
def test_what_is_encoded(destination: str, expected: bytes) -> None:
    """Non-ASCII as UTF-8 in percent-encoding, an international host as A-labels, no more."""
    assert expected == location(destination)


@pytest.mark.parametrize(
    "destination",
    [
        "",
        "//a.example/",
        "javascript:alert(1)",
        "ftp://a.example/",
        " https://a.example/",
        "https:/a",
    ],
)
def test_no_location(destination: str) -> None:
    """Neither http nor https: the caller answers 404."""
    assert location(destination) is None


def web_platform_cases() -> list[dict[str, Any]]:
    """Return the valid http and https cases of web-platform-tests' URL suite."""
    path = Path(WPT, "urltestdata.json")
    if not path.exists():
        return []
    return [
        case
        for case in json.loads(path.read_text("utf-8"))
        if isinstance(case, dict)
        and not case.get("failure")
        and re.match(r"(?i)https?://", case["input"])
        and not re.search(r"[\t\r\n]", case["input"])  # dropped in the milter, as browsers do
        and case["input"] == case["input"].strip(" \x00\x1f")
    ]


@pytest.mark.skipif(not WPT.exists(), reason="the corpus ../shared/corpus/wpt-url is not there")
def test_a_browser_arrives_at_the_host_that_was_meant() -> None:
    """Every valid http and https case of web-platform-tests, by the host that browsers see."""
    cases = web_platform_cases()
    wrong = []

    for case in cases:
        found = location(case["input"])
        assert found is not None
        authority = re.match(r"(?i)https?://([^/?#\\]*)", found.decode())
        assert authority is not None
        host = authority[1].rpartition("@")[2].partition(":")[0].lower()
        if not case["input"].isascii() and re.match(r"[a-z]|xn--", case["hostname"]):
            wrong += [case["input"]] if host != case["hostname"] else []

    assert len(cases) > 150
    assert [] == wrong


@pytest.mark.skipif(
    int(idnadata.__version__.partition(".")[0]) < 16,
    reason="Debian 12's idna has older Unicode tables than the corpus",
)
@pytest.mark.skipif(not WPT.exists(), reason="the corpus ../shared/corpus/wpt-url is not there")
def test_international_hosts_become_what_browsers_make_of_them() -> None:
    """UTS 46 as in web-platform-tests' IdnaTestV2, where the label is valid to both."""
    cases = [
        case
        for case in json.loads(Path(WPT, "IdnaTestV2.json").read_text("utf-8"))
        if isinstance(case, dict)
        and case["output"]
        and not case["input"].isascii()
        and re.fullmatch(r"[a-z0-9.-]+", case["output"])
    ]
    wrong = [
        case["input"]
        for case in cases
        if location(f"https://{case['input']}/") != f"https://{case['output']}/".encode()
    ]

    assert len(cases) > 200
    assert [] == wrong
