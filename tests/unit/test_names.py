"""Domain names: whatever comes in, one spelling comes out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick.names import BadName, browser_host, domain_name, host_of


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("kontor.example", "kontor.example"),
        ("Kontor.EXAMPLE", "kontor.example"),
        ("kontor.example.", "kontor.example"),
        (" kontor.example\n", "kontor.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),  # non-transitional: sharp s stays itself
        ("例え。jp", "xn--r8jz45g.jp"),
        ("ΒΌΛΟΣ.example", "xn--nxasmq6b.example"),  # a capital sigma at the end is no final sigma
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("_dmarc.kontor.example", "_dmarc.kontor.example"),
        ("localhost", "localhost"),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_one_spelling(text: str, name: str) -> None:
    """A-labels in lower case without the final dot."""
    assert name == domain_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "a..b",
        ".kontor.example",
        "-kontor.example",
        "kontor-.example",
        "kontor example",
        "kontor.example/path",
        "kontor\x00.example",
        "kontor.example\r\nX: y",
        "[192.0.2.1]",
        "a" * 64 + ".example",
        ".".join(["a" * 60] * 5),
        "ü" * 5000,
        "ü..example",
        "\u202eexample",
        "a@b",
        "\ufffd",
    ],
)
def test_no_name(text: str) -> None:
    """What no host can be called is refused with the reason in a few words."""
    with pytest.raises(BadName) as caught:
        domain_name(text)

    assert str(caught.value)


@given(st.text())
def test_any_text_gives_a_fixed_point_or_a_refusal(text: str) -> None:
    """A name that came out goes in again unchanged; nothing but BadName is ever raised."""
    try:
        name = domain_name(text)
    except BadName:
        return

    assert name.isascii()
    assert name == name.lower()
    assert name == domain_name(name)


@pytest.mark.parametrize(
    ("field", "host"),
    [
        ("track.kontor.example", "track.kontor.example"),
        ("Track.Kontor.Example:8443", "track.kontor.example"),
        ("track.kontor.example.:443", "track.kontor.example"),
        ("track.kontor.example:", "track.kontor.example"),
        (" track.kontor.example ", "track.kontor.example"),
    ],
)
def test_host_without_port(field: str, host: str) -> None:
    """A Host field names the tracking domain with or without a port."""
    assert host == host_of(field)


@pytest.mark.parametrize("field", ["", ":80", "[::1]", "[::1]:80", "a:b:80", "a:123456", "a:8 0"])
def test_no_host(field: str) -> None:
    """What names no domain is refused."""
    with pytest.raises(BadName):
        host_of(field)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("bücher.example", "xn--bcher-kva.example"),
        ("bücher.example.", "xn--bcher-kva.example."),
        ("👍.example", "xn--yp8h.example"),
        ("evil℀.example", None),  # a/c: would end the host early
        ("evil：80.example", None),  # a full-width colon
        ("ü" * 1001, None),
        ("ü ü", None),
        ("\ufffd", None),
    ],
)
def test_host_as_a_browser_makes_it(text: str, host: str | None) -> None:
    """UTS 46 without the checks of IDNA 2008; never a character that ends a host."""
    assert host == browser_host(text)
