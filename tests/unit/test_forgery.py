"""Nobody without the key can make the sidecar redirect, and no answer tells one fault from another.

Each test goes the whole way of a request but the network: path and Host in, answer out.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from openclick.hits import Hit
from openclick.keys import KeyDirectory, rotate_keys
from openclick.tokens import Kind, Token
from openclick_sidecar import answers
from openclick_sidecar.answers import Answer
from openclick_sidecar.counters import HitCounters
from openclick_sidecar.hit_request import FieldMap, HitRequest
from openclick_sidecar.site import TrackingSite
from openclick_sidecar.waiting_room import WaitingRoom
from support.clock import Clock
from support.mutated_tokens import mutated
from unit.samples import COPY, CORPUS, DESTINATION, EMAIL_ID, NOW, TRACKING_DOMAIN

MUTATIONS = 100_000
WPT = CORPUS / "wpt-url" / "urltestdata.json"
DATE = b"Sun, 23 Nov 2025 22:40:00 GMT"


class NoRecorder:
    """Has nothing to record: HEAD makes no hit."""

    def record(self, hit: Hit, on_done: Callable[[bool], None]) -> None:
        """Fail."""
        raise AssertionError(hit)


class World:
    """A site with one key, asked by HEAD, so that no hit has to be written."""

    def __init__(self, directory: Path) -> None:
        rotate_keys(str(directory))
        self.keys = KeyDirectory(str(directory), Clock().monotonic)
        self._site = TrackingSite(
            self.keys, NoRecorder(), lambda: NOW, bytes, WaitingRoom(), HitCounters()
        )

    def ask(self, path: str, host: str = TRACKING_DOMAIN) -> Answer:
        """Return the answer to a path."""
        found: list[Answer] = []
        self._site.on_request(HitRequest("HEAD", path, host, "192.0.2.7", FieldMap()), found.append)
        return found[0]

    def seal(self, kind: Kind, number: int = 0, domain: str = TRACKING_DOMAIN) -> str:
        """Return the token of link `number` of a mail."""
        destination = f"{DESTINATION}&link={number}" if kind is Kind.CLICK else ""
        return self.keys.ring().seal(kind, domain, Token(EMAIL_ID, COPY, number, destination))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world."""
    return World(tmp_path)


def test_a_damaged_key_costs_no_link_of_another(world: World, tmp_path: Path) -> None:
    """Links outlive all but their own key (DESIGN 1.3), also after a restart."""
    path = f"/c/{world.seal(Kind.CLICK)}"
    rotate_keys(str(tmp_path)).write_bytes(b"\n")

    restarted = World(tmp_path)

    assert restarted.ask(path).status == 302


def test_100_000_mutated_tokens(world: World) -> None:
    """No redirect, and byte for byte one answer for links and one for images."""
    links = [world.seal(Kind.CLICK, number) for number in range(40)]
    images = [world.seal(Kind.OPEN, number) for number in range(40)]

    answered = {
        world.ask(f"/c/{text}").render(DATE, close=False, with_body=True)
        for text in mutated(links, MUTATIONS // 2)
    }
    shown = {
        world.ask(f"/o/{text}").render(DATE, close=False, with_body=True)
        for text in mutated(images, MUTATIONS // 2)
    }

    assert {answers.NOT_FOUND.render(DATE, close=False, with_body=True)} == answered
    assert {answers.IMAGE.render(DATE, close=False, with_body=True)} == shown


def test_tokens_of_the_other_kind(world: World) -> None:
    """An image's token behind /c/ is as unknown as any."""
    answered = [world.ask(f"/c/{world.seal(Kind.OPEN, number)}") for number in range(100)]

    assert [answers.NOT_FOUND] * 100 == answered


def test_50_domains_and_50_tokens(world: World) -> None:
    """Each token opens on its own domain: of 2,500 pairs exactly 50."""
    domains = [f"track.shop{number}.example" for number in range(50)]
    tokens = [world.seal(Kind.CLICK, number, domain) for number, domain in enumerate(domains)]

    opened = [
        (place, number)
        for place, domain in enumerate(domains)
        for number, token in enumerate(tokens)
        if world.ask(f"/c/{token}", domain).status == 302
    ]

    assert [(number, number) for number in range(50)] == opened


def redirected(world: World, destination: str) -> bytes | None:
    """Return what stands on the wire for a sealed destination, None where none can be sealed."""
    try:
        text = world.keys.ring().seal(
            Kind.CLICK, TRACKING_DOMAIN, Token(EMAIL_ID, COPY, 0, destination)
        )
    except ValueError:
        return None
    return world.ask(f"/c/{text}").render(DATE, close=False, with_body=True)


def location_of(answer: bytes) -> bytes:
    """Return the Location of an answer, whose every line is printable."""
    head = answer.removesuffix(b"\r\n\r\n")
    assert re.fullmatch(rb"[\x20-\x7e]*(?:\r\n[\x21-\x7e][\x20-\x7e]*)*", head), answer
    found = re.search(rb"\r\nLocation: ([^\r]*)\r\n", head)
    assert found is not None
    return found[1]


@pytest.mark.skipif(not WPT.exists(), reason="the corpus ../shared/corpus/wpt-url is not there")
def test_web_platform_urls_go_through(world: World) -> None:
    """Sealed, opened, redirected: byte for byte, but for what no header may hold.

    All cases that are http or https by their text, whether a browser finds them valid or not.
    """
    inputs = [case["input"] for case in json.loads(WPT.read_text("utf-8")) if type(case) is dict]
    sent = 0

    for text in inputs:
        answer = redirected(world, text)
        if answer is None:
            assert not re.match(r"(?i)https?://", text) or re.search("[\ud800-\udfff]", text)
            continue
        sent += 1
        found = location_of(answer)
        if re.fullmatch(r"[\x21-\x7e]*", text):
            assert text.encode() == found
        else:
            _, _, rest = text.partition("://")
            behind_host = re.sub(r"\A[^/?#\\]*", "", rest)
            assert unquote_to_bytes(found).endswith(unquote_to_bytes(behind_host))

    assert sent > 300


@pytest.mark.parametrize(
    "destination",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)//https://a.example/",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "\x01javascript:alert(1)",
        "java\tscript:alert(1)",
        "https:alert(1)",
        "http:/a.example",
        "//a.example/",
        "file:///etc/passwd",
        " https://a.example/",
        "",
    ],
)
def test_nothing_but_web_addresses_is_served(world: World, destination: str) -> None:
    """Not even with the key in hand."""
    assert redirected(world, destination) is None


@pytest.mark.parametrize(
    "payload",
    [
        "\r\nSet-Cookie: a=b",
        "\nSet-Cookie: a=b",
        "\r\n\r\n<html>",
        "\rX: y",
        "%0d%0aX: y",
        "\u560a\u560dX: y",  # whose low bytes are CR and LF
        "\u2028X: y",
        "\x85X: y",
        "\x0b\x0c\x1c\x1d\x1e\x1f",
        "\x00",
        "\x7f\x80\x9f",
        "\ufeff\u202e",
    ],
)
@pytest.mark.parametrize("place", ["https://a.example/{}", "https://a.example{}", "https://{}"])
def test_nothing_in_a_destination_splits_the_answer(world: World, place: str, payload: str) -> None:
    """No control byte of a token reaches the wire."""
    answer = redirected(world, place.format(payload))

    assert answer is not None
    assert answer.count(b"\r\n") == answers.redirect(b"x").head.count(b"\r\n") + 2
    assert location_of(answer).startswith(b"https://")
