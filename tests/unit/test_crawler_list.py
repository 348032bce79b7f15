"""The list of crawlers that is derived from public ones, and the script that derives it."""

import tomllib
from pathlib import Path

import pytest

from unit.loose_script import load_script

ROOT = Path(__file__).resolve().parents[2]
SIDECAR = ROOT / "sidecar" / "openclick_sidecar"


SCRIPT = load_script(ROOT / "contrib" / "dev" / "derive_crawlers.py")
COMMITTED = (SIDECAR / "crawlers.toml").read_text("utf-8")


def committed_words() -> list[str]:
    """Return the words of the committed list, "^" before those for the beginning."""
    document = tomllib.loads(COMMITTED)
    return [*document["contains"], *(f"^{word}" for word in document["starts"])]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"Googlebot\/", ["Googlebot/"]),
        (r"^curl", ["^curl"]),
        (r"[wW]get", ["wget"]),
        (r"S[eE][mM]rushBot", ["SemrushBot"]),
        (r"Site24x7\.com", ["Site24x7.com"]),
        (r"^clamav[ /]", ["^clamav/"]),
        (r"monitor\b", ["monitor"]),
        (r"Chirp|gotosocial", None),
        (r"(^| )PTST\/", None),
        (r"\d+bot", None),
        (r"[xy]bot", None),
        (r"bots?", None),
        (r"a.*b", None),
    ],
)
def test_plain_words(pattern: str, words: list[str] | None) -> None:
    """A pattern without choices is a word; of any other somebody must decide."""
    assert words == SCRIPT.plain_words(pattern)


def test_nobody_has_decided() -> None:
    """A pattern of a newer list that is no word, or a short one, ends the script by name."""
    words, undecided = SCRIPT.derive([r"NewBot\/", r"new(er|est)", "xy"])

    assert (["newbot/"], ["new(er|est)", "xy"]) == (words, undecided)


def test_what_is_left_out() -> None:
    """By the pattern as it stands in a list, or by the word that it stands for."""
    words, undecided = SCRIPT.derive([r"okhttp", r"[oO]khttp", r"Sonic", r"java(?!;)", r"Good\/"])

    assert (["good/"], []) == (words, undecided)


def test_what_is_written_out() -> None:
    """Some patterns are several words."""
    words, _ = SCRIPT.derive(["Ahrefs(Bot|SiteAudit)", r"(^| )PTST\/"])

    assert [" ptst/", "ahrefsbot", "ahrefssiteaudit", "^ptst/"] == words


def test_longer_words_are_not_needed() -> None:
    """What holds a shorter word matches by that one; a beginning may hide nothing elsewhere."""
    assert ["abcd", "^abce"] == SCRIPT.without_longer({"abcd", "xabcdx", "^abcd", "^abce"})


def test_every_exception_has_a_reason() -> None:
    """Why it is not taken."""
    assert all(len(reason) > 3 for reason in SCRIPT.LEFT_OUT.values())


def test_the_committed_list_is_the_scripts() -> None:
    """Nobody edits it by hand: in order, in lower case, without what is left out."""
    words = committed_words()
    left_out = {word.lower() for word in SCRIPT.LEFT_OUT}

    assert SCRIPT.as_toml(SCRIPT.without_longer(set(words))) == COMMITTED
    assert len(words) > 1000
    assert left_out.isdisjoint(words)
    assert words == [word.lower() for word in words]


def test_the_licences_travel_along() -> None:
    """Beside the list, and into the package."""
    text = (SIDECAR / "crawlers.LICENSE").read_text("utf-8")

    assert "The MIT License (MIT)\n\nCopyright (c) 2017 Martin Monperrus" in text
    assert "This is free and unencumbered software released into the public domain." in text
    assert "\n    *.LICENSE\n" in (ROOT / "setup.cfg").read_text("utf-8")
