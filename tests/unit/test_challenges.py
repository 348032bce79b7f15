"""/.well-known/acme-challenge: our own ACME's answers, and certbot's files."""

import os
from pathlib import Path

import pytest

from openclick_sidecar.challenges import PREFIX, Challenges


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder that certbot writes into."""
    made = tmp_path / ".well-known" / "acme-challenge"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def challenges(tmp_path: Path) -> Challenges:
    """Give the answers of a webroot."""
    return Challenges(tmp_path)


def body(challenges: Challenges, path: str) -> bytes | None:
    """Return what is answered, None for nothing."""
    answer = challenges.page(path)
    return answer and answer.body


def test_an_answer_that_is_waited_for(challenges: Challenges) -> None:
    """From the offer to its withdrawal."""
    challenges.offer("t0-k_en", "t0-k_en.thumb")

    during = body(challenges, f"{PREFIX}t0-k_en")
    challenges.withdraw("t0-k_en")

    assert b"t0-k_en.thumb" == during
    assert body(challenges, f"{PREFIX}t0-k_en") is None


def test_a_file_of_certbots(challenges: Challenges, folder: Path) -> None:
    """Is served as it stands there."""
    (folder / "abc").write_bytes(b"abc.thumb")

    assert b"abc.thumb" == body(challenges, f"{PREFIX}abc")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        PREFIX,
        f"{PREFIX}none",
        f"{PREFIX}../secret",
        f"{PREFIX}..%2fsecret",
        f"{PREFIX}sub/abc",
        f"{PREFIX}{'a' * 300}",
        "/.well-known/acme-challenge",
        "/.well-known/other/abc",
    ],
)
def test_nothing_else_is_served(challenges: Challenges, folder: Path, path: str) -> None:
    """Neither what stands beside the folder nor what stands below it."""
    (folder.parent / "secret").write_bytes(b"secret")
    (folder / "sub").mkdir()
    (folder / "sub" / "abc").write_bytes(b"secret")

    assert body(challenges, path) is None


def test_what_is_no_answer(challenges: Challenges, folder: Path) -> None:
    """A folder, a pipe that nobody writes into, a large file: none of them holds the reactor."""
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "large").write_bytes(b"x" * 2000)

    assert [None, b"", None] == [body(challenges, PREFIX + n) for n in ("folder", "pipe", "large")]
