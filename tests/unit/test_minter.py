"""Tracking URLs of one copy."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick.settings import LinkSettings
from openclick.tokens import MAX_TRACKING_URL_CHARS, KeyRing, Kind, Token
from openclick_milter.minter import TokenMinter
from unit.samples import COPY, DESTINATION, EMAIL_ID, TRACKING_DOMAIN, key

RING = KeyRing({0: key(0)})


def minter(scheme: str = "https", **links: Any) -> TokenMinter:
    """Return a minter of links with this scheme, by these settings."""
    return TokenMinter(RING, LinkSettings(**links), TRACKING_DOMAIN, EMAIL_ID, COPY, scheme=scheme)


def link_url(of: TokenMinter, index: int, destination: str) -> str | None:
    """Return one link's URL."""
    (url,) = of.link_urls([(index, destination)])
    return url


def test_many_links_at_once_are_each_ones_own() -> None:
    """In their order, with None where one is too long; as when each is sealed alone."""
    links = [(9, DESTINATION), (3, f"{DESTINATION}/" + "x" * 3000), (4, f"{DESTINATION}?b")] * 3

    urls = minter().link_urls(links)

    assert urls == [link_url(minter(), *link) for link in links]
    assert [url is None for url in urls] == [False, True, False] * 3
    assert [] == minter().link_urls([])


def test_link_url() -> None:
    """https://TRACKING-DOMAIN/c/TOKEN, which opens to what was sealed."""
    url = link_url(minter(), 3, DESTINATION)

    assert url is not None
    head, _, text = url.rpartition("/")
    assert head == "https://track.kontor.example/c"
    assert Token(EMAIL_ID, COPY, 3, DESTINATION) == RING.open(Kind.CLICK, TRACKING_DOMAIN, text)


def test_image_url() -> None:
    """https://TRACKING-DOMAIN/o/TOKEN."""
    head, _, text = minter().image_url().rpartition("/")

    assert head == "https://track.kontor.example/o"
    assert Token(EMAIL_ID, COPY) == RING.open(Kind.OPEN, TRACKING_DOMAIN, text)


def test_image_that_is_sealed_with_the_links_is_the_same() -> None:
    """Together they cost less; whether it was asked for before or after them changes nothing."""
    links = [(number, f"{DESTINATION}?{number}") for number in range(5)]
    before, after = minter(), minter()
    after.with_image = True

    image, urls = before.image_url(), before.link_urls(links)

    assert urls == after.link_urls(links)
    assert image == after.image_url()


@pytest.mark.parametrize(
    ("scheme", "port", "begin"),
    [
        ("https", 0, "https://track.kontor.example/"),
        ("https", 443, "https://track.kontor.example/"),
        ("https", 80, "https://track.kontor.example:80/"),
        ("http", 80, "http://track.kontor.example/"),
        ("http", 8025, "http://track.kontor.example:8025/"),
    ],
)
def test_scheme_and_port(scheme: str, port: int, begin: str) -> None:
    """A scheme's own port is not written."""
    assert minter(scheme=scheme, port=port).image_url().startswith(begin)


@given(st.text(max_size=40))
def test_urls_stand_in_any_attribute_and_encoding(rest: str) -> None:
    """Printable ASCII without blank, &, =, <, > and quotes."""
    url = link_url(minter(), 0, f"https://a.example/{rest}")

    assert url is not None
    assert re.fullmatch(r"[A-Za-z0-9:/._-]+", url)


def test_a_url_that_would_be_too_long() -> None:
    """None: beyond 2,000 characters the destination stays as it is."""
    lengths = {}
    for size in range(1300, 1600):
        url = link_url(minter(), 0, "https://a.example/".ljust(size, "x"))
        lengths[size] = len(url) if url else None

    fitting = [size for size, length in lengths.items() if length]
    assert max(length for length in lengths.values() if length) in range(1990, 2001)
    assert all(length <= MAX_TRACKING_URL_CHARS for length in lengths.values() if length)
    assert fitting == list(range(1300, fitting[-1] + 1))


def test_own_urls_are_known() -> None:
    """Whatever hangs on them, whichever scheme and port they had."""
    link, image = link_url(minter(), 0, DESTINATION), minter(scheme="http", port=8025).image_url()
    assert link is not None

    for url in (link, image, f"{link}?utm=1", link.replace("track.kontor", "TRACK.Kontor")):
        assert minter().is_own(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "https://[::1/c/x",
        "https://track.kontor.example/",
        "https://track.kontor.example/c/",
        "https://track.kontor.example/c/AAAA",
        "https://track.kontor.example/x/" + "A" * 60,
        "https://track.kontor.example/c/" + "A" * 60,
        "/c/" + "A" * 60,
        "https://ü\ufffd/c/" + "A" * 60,
    ],
)
def test_other_urls_are_not_ours(url: str) -> None:
    """Never an exception, whatever stands in a mail."""
    assert not minter().is_own(url)


def test_a_strangers_tracking_link_is_not_ours() -> None:
    """Only what our key opens, on the domain it was made for."""
    other_key = KeyRing({0: key(9)})
    stranger = link_url(
        TokenMinter(other_key, LinkSettings(), TRACKING_DOMAIN, EMAIL_ID, COPY), 0, DESTINATION
    )
    ours = link_url(minter(), 0, DESTINATION)
    assert stranger is not None
    assert ours is not None

    assert not minter().is_own(stranger)
    assert not minter().is_own(ours.replace("track.kontor", "track.other"))


def test_our_link_on_another_of_our_domains() -> None:
    """A quoted mail of another sending domain here is ours too."""
    other = TokenMinter(RING, LinkSettings(), "go.other.example", EMAIL_ID, COPY)

    assert minter().is_own(other.image_url())
