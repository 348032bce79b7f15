"""Many words looked for at once: the same answers as looking for each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick_sidecar.literals import Literals

LETTERS = st.text("abAB /", min_size=4, max_size=7)


def test_the_first_word_of_the_list() -> None:
    """Wherever it stands, in any case, as the list spells it."""
    words = Literals(["Googlebot", "CCBot/"])

    assert words.search("x ccbot/1 GOOGLEBOT") == "Googlebot"
    assert words.search("x ccbot/1") == "CCBot/"
    assert words.search("Firefox") is None


def test_a_word_at_the_beginning() -> None:
    """Curl is a program; libcurl may be anything."""
    words = Literals([], ["curl/"])

    assert words.search("Curl/8.1") == "curl/"
    assert words.search("libcurl/8.1") is None


@pytest.mark.parametrize("text", ["", "a", "abc", "\udcff" * 4, "İİİİ", "\x00" * 512])
def test_texts_that_hold_nothing(text: str) -> None:
    """Short, odd, or long: no word, and no error."""
    assert Literals(["word"], ["start"]).search(text) is None


def test_a_short_word_is_refused() -> None:
    """It would stand in too many texts."""
    with pytest.raises(ValueError, match='"bot" is too short: need at least 4 characters'):
        Literals(["bot"])


@given(st.lists(LETTERS), st.lists(LETTERS), st.text("abAB /x", max_size=40))
def test_as_looking_for_each(contains: list[str], starts: list[str], text: str) -> None:
    """The table of beginnings hides no word and invents none."""
    lowered = text.lower()
    expected = any(lowered.startswith(word.lower()) for word in starts) or any(
        word.lower() in lowered for word in contains
    )

    found = Literals(contains, starts).search(text)

    assert expected == (found is not None)
    assert found is None or found.lower() in lowered
