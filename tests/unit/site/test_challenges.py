"""The challenge by which a tracking domain is proved to lead here."""

from pathlib import Path

import pytest

from openclick.keys import KeyDirectory
from openclick_sidecar import answers, proof
from openclick_sidecar.hit_request import FieldMap, HitRequest
from unit.samples import TRACKING_DOMAIN
from unit.site.site_world import World


@pytest.mark.parametrize("host", [TRACKING_DOMAIN, f"{TRACKING_DOMAIN.upper()}.:8080"])
def test_challenge(world: World, host: str) -> None:
    """Answered for the name that was asked for, whether it was ever added or not; no hit."""
    path = proof.challenge_path(b"n" * proof.NONCE_BYTES)
    expected = proof.answer(world.keys.ring(), TRACKING_DOMAIN, path)

    world.ask(path, host=host)
    world.ask(f"{path}?x=1", host=host)
    world.ask(path, "HEAD", host=host)

    assert [answers.text_page(expected.encode())] * 3 == world.answers
    assert world.room.waiting == 0


@pytest.mark.parametrize("host", ["", "a b", "[::1]"])
def test_challenge_without_a_host_name(world: World, host: str) -> None:
    """Nothing there: it is a name that is to be proved."""
    world.ask(proof.challenge_path(b"n" * proof.NONCE_BYTES), host=host)

    assert [answers.NOT_FOUND] == world.answers


def test_challenge_without_a_key(world: World, tmp_path: Path) -> None:
    """Nothing there; the check then says that another server answers."""
    keys = KeyDirectory(str(tmp_path / "none"), world.clock.monotonic)
    site = world.site_with(keys)
    path = proof.challenge_path(b"n" * proof.NONCE_BYTES)

    site.on_request(
        HitRequest("GET", path, TRACKING_DOMAIN, "192.0.2.7", FieldMap()), world.answers.append
    )

    assert [answers.NOT_FOUND] == world.answers
