"""The challenge by which a sidecar finds itself."""

import re

import pytest

from openclick.tokens import KeyRing
from openclick_sidecar.proof import NONCE_BYTES, answer, challenge_path, is_challenge
from unit.samples import TRACKING_DOMAIN, key

RING = KeyRing({0: key(0)})
PATH = challenge_path(bytes(range(NONCE_BYTES)))


def test_path() -> None:
    """The nonce in base64url, below a well-known path (RFC 8615)."""
    assert PATH == "/.well-known/openclick/AAECAwQFBgcICQoLDA0ODw"
    assert is_challenge(PATH)


@pytest.mark.parametrize(
    "path",
    ["/", "/.well-known/openclick/", PATH[:-1], f"{PATH}x", f"{PATH}/", f"x{PATH}", f"{PATH}\n"],
)
def test_other_paths(path: str) -> None:
    """Nothing else is answered."""
    assert not is_challenge(path)


def test_answer() -> None:
    """64 hex digits, the same in every process that holds the keys."""
    assert re.fullmatch(r"[0-9a-f]{64}", answer(RING, TRACKING_DOMAIN, PATH))
    assert answer(RING, TRACKING_DOMAIN, PATH) == answer(
        KeyRing({0: key(0), 1: key(1)}), TRACKING_DOMAIN, PATH
    )


def test_answers_differ() -> None:
    """By nonce, by name and by installation: none can be taken from another."""
    other_path = challenge_path(bytes(NONCE_BYTES))

    answers = {
        answer(RING, TRACKING_DOMAIN, PATH),
        answer(RING, TRACKING_DOMAIN, other_path),
        answer(RING, "go.kontor.example", PATH),
        answer(KeyRing({0: key(1)}), TRACKING_DOMAIN, PATH),
    }

    assert len(answers) == 4
