"""Which tokens open: junk behind them, broken ones, others' domains, keys that come and go."""

import base64

import pytest

from openclick.keys import KeyDirectory, rotate_keys
from openclick.tokens import KeyRing, Kind
from openclick_sidecar import answers
from unit.samples import DESTINATION, TRACKING_DOMAIN
from unit.site.site_world import CLICK, OPEN, World


@pytest.mark.parametrize("junk", ["?utm_source=x", "%27", "'", "/", ".", "&x=1", "?/o/abc"])
def test_junk_behind_a_token(world: World, junk: str) -> None:
    """What a mail client or a scanner hangs on breaks no link."""
    world.ask(world.seal(Kind.CLICK, CLICK) + junk)

    world.run_recorder()

    assert [answers.redirect(DESTINATION.encode())] == world.answers


@pytest.mark.parametrize("text", ["", "x", "AAAA", "A" * 60, "%41", "A" * 3000, "?AAAA"])
def test_broken_tokens_get_one_constant_answer(world: World, text: str) -> None:
    """404 for a link, the same gif with 200 for an image: an open image never breaks a mail."""
    world.ask(f"/c/{text}")
    world.ask(f"/o/{text}")

    assert [answers.NOT_FOUND, answers.IMAGE] == world.answers


@pytest.mark.parametrize(
    "host", ["track.other.example", "", "192.0.2.1", "[::1]", "a b", "x" * 2000, "ü\ufffd"]
)
def test_token_of_another_domain(world: World, host: str) -> None:
    """A token opens on its own domain alone."""
    world.ask(world.seal(Kind.CLICK, CLICK), host=host)

    assert [answers.NOT_FOUND] == world.answers


def test_token_of_the_other_kind(world: World) -> None:
    """An image's token is no link."""
    path = world.seal(Kind.OPEN, OPEN).replace("/o/", "/c/")

    world.ask(path)

    assert [answers.NOT_FOUND] == world.answers


def test_key_added_meanwhile_is_found(world: World) -> None:
    """A token with an unknown key id makes the site read the directory again."""
    world.keys.ring()
    other = KeyDirectory(str(world.key_directory), world.clock.monotonic)
    rotate_keys(str(world.key_directory))
    path = f"/c/{other.ring().seal(Kind.CLICK, TRACKING_DOMAIN, CLICK)}"
    world.clock.advance(1)

    world.ask(path)
    world.run_recorder()

    assert [answers.redirect(DESTINATION.encode())] == world.answers


def test_without_a_key_everything_is_unknown(world: World) -> None:
    """No exception reaches the client, and no file is asked for twice a second."""
    path = world.seal(Kind.CLICK, CLICK)
    world.site = world.site_with(KeyDirectory("/nonexistent", world.clock.monotonic))

    world.ask(path)
    world.ask(path.replace("/c/", "/o/"))

    assert [answers.NOT_FOUND, answers.IMAGE] == world.answers


def test_a_stranger_cannot_fill_the_log_without_a_key(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The missing key is told when the directory is read, not with each of a hundred requests."""
    path = world.seal(Kind.CLICK, CLICK)
    world.site = world.site_with(KeyDirectory("/nonexistent", world.clock.monotonic))

    for _ in range(100):
        world.ask(path)
    world.clock.advance(2)
    world.ask(path)

    told = [record for record in caplog.records if record.levelname == "ERROR"]
    assert 2 == len(told)


def test_ring_of_a_stranger_opens_nothing(world: World) -> None:
    """Nobody without the key can make the sidecar redirect (DESIGN 1.7)."""
    forged = KeyRing({0: b"k" * 64}).seal(Kind.CLICK, TRACKING_DOMAIN, CLICK)

    world.ask(f"/c/{forged}")

    assert [answers.NOT_FOUND] == world.answers


def test_refused_tokens_are_counted_by_reason(world: World) -> None:
    """The reasons are few, whatever strangers send."""
    click = world.seal(Kind.CLICK, CLICK)
    world.ask("/c/")
    world.ask("/c/AAAA")
    world.ask(click[:-1])
    world.ask(click, host="a b")
    world.ask(click, host="track.other.example")
    for key_id in range(1, 9):
        world.ask(f"/c/{_with_key_id(click[3:], key_id)}")
    world.site = world.site_with(KeyDirectory("/nonexistent", world.clock.monotonic))
    world.ask(click)

    assert {
        "no token": 1,
        "too short": 1,
        "bad host": 1,
        "unknown key": 8,
        "no keys": 1,
    }.items() <= world.counters.refused_tokens.items()
    assert 14 == sum(world.counters.refused_tokens.values())


def _with_key_id(token: str, key_id: int) -> str:
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    return base64.urlsafe_b64encode(bytes([key_id]) + raw[1:]).rstrip(b"=").decode()
