"""Looks for thousands of words in one text, in time that hardly depends on how many they are.

Called by `rules` for marks that hold a list, first of all the list of crawlers.  The text's runs of
four characters are compared with those that words begin with, and only words that begin so are
looked for.  A stranger writes user agents, and a regular expression of so many alternatives takes
milliseconds, or for ever.

Promise: of several words that stand in the text the list's first is found.  Limits: a word has at
least four characters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

MIN_CHARS = 4
"""A shorter word stands in too many texts to say anything."""


class Literals:
    """A list of words, compared without regard to case.

    Those of `contains` may stand anywhere, those of `starts` only at the beginning.  Raises
    ValueError for a word that is too short.
    """

    def __init__(self, contains: Iterable[str], starts: Iterable[str] = ()) -> None:
        self._anywhere = _by_beginning(contains)
        self._at_start = _by_beginning(starts)

    def search(self, text: str) -> str | None:
        """Return the first word, as the list spells it, that stands in `text`, or None."""
        lowered, runs = _runs(text)
        for word, spelling in self._at_start.get(lowered[:MIN_CHARS], ()):
            if lowered.startswith(word):
                return spelling
        if self._anywhere.keys().isdisjoint(runs):
            return None
        for beginning, words in self._anywhere.items():
            if beginning in runs:
                for word, spelling in words:
                    if word in lowered:
                        return spelling
        return None


@lru_cache(16)  # several lists are asked about the same text, one after another
def _runs(text: str) -> tuple[str, frozenset[str]]:
    lowered = text.lower()
    places = range(len(lowered) - MIN_CHARS + 1)
    return lowered, frozenset([lowered[place : place + MIN_CHARS] for place in places])


def _by_beginning(words: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    table: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for spelling in words:
        word = spelling.lower()
        if len(word) < MIN_CHARS:
            raise ValueError(f'"{spelling}" is too short: need at least {MIN_CHARS} characters')
        table[word[:MIN_CHARS]].append((word, spelling))
    return dict(table)
