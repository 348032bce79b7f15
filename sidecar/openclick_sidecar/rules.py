"""Reads the judge's rules from their data files.

Called by `judges` at start, with the package's `rules.toml` and the file that an admin names; both
have the form that the head of `rules.toml` tells.  A rule that cannot be used ends the start with a
RulesError that names its line.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from openclick.tokens import Kind
from openclick.verdicts import Visitor
from openclick_sidecar.literals import Literals

Matcher = Callable[[str], str | None]
"""Takes a text and returns what it matched there, for the evidence, or None."""

_KINDS = {"open": frozenset({Kind.OPEN}), "click": frozenset({Kind.CLICK})}
_MARKS = ("exact", "starts", "contains", "pattern", "list")
_TEXTS = ("name", "visitor", "on", "source", "header", "lacks", "pattern", "list")
_SWITCHES = ("soon", "https")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_HEADLINE = re.compile(r"\s*\[\[\s*rule\s*\]\]")


class RulesError(Exception):
    """A rule that cannot be used; the message names it and says what is needed.

    `line` is its place in the file, 0 where that is not known.
    """

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(text)
        self.line = line


@dataclass(frozen=True)
class Rule:
    """One rule: `matches` takes the text of `header` (the user agent where None).

    It holds for hits of `kinds`, where `lacks` names no header that is there, where a hit came
    soon after the submission if `soon`, and where links are https if `https`.
    """

    name: str
    kinds: frozenset[Kind]
    visitor: Visitor
    source: str
    header: str | None
    matches: Matcher
    lacks: str | None = None
    soon: bool = False
    https: bool = False

    @property
    def is_conditional(self) -> bool:
        """Whether more than the mark decides."""
        return self.lacks is not None or self.soon or self.https


@dataclass(frozen=True)
class RuleFile:
    """What one file says: its rules in order, and the names of rules that are not asked."""

    rules: tuple[Rule, ...]
    off: frozenset[str]


@cache
def packaged_rules() -> tuple[Rule, ...]:
    """Return the rules that come with OpenClick.  Raises RulesError."""
    return parse_rules(_packaged("rules.toml")).rules


def parse_rules(text: str) -> RuleFile:
    """Return what TOML `text` says.  Raises RulesError."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _syntax_error(error) from error
    for name in document.keys() - {"rule", "off"}:
        raise RulesError(f"{name}: unknown; need off = [...] and [[rule]] tables")
    off = document.get("off", [])
    if not _is_texts(off):
        raise RulesError("off: need a list of rules' names")
    return RuleFile(_rules(document.get("rule", []), text), frozenset(off))


def _rules(entries: Any, text: str) -> tuple[Rule, ...]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise RulesError("rule: need [[rule]] tables")
    places = [
        number
        for number, line in enumerate(text.split("\n"), start=1)
        if _HEADLINE.match(line) is not None
    ]
    if len(places) != len(entries):  # written as one array: nobody knows the lines then
        places = [0] * len(entries)
    rules: list[Rule] = []
    for place, entry in zip(places, entries, strict=True):
        try:
            rules.append(_rule(entry))
            if any(rule.name == entry["name"] for rule in rules[:-1]):
                raise RulesError(f"rule {entry['name']}: is there already; need another name")
        except RulesError as error:
            raise RulesError(str(error), place) from error
    return tuple(rules)


def _rule(entry: dict[str, Any]) -> Rule:
    name = entry.get("name", "(no name)")
    _check_types(name, entry)
    if not _NAME.fullmatch(name):
        raise RulesError(f"rule {name}: name: need lower-case letters, digits and hyphens")
    marks = [mark for mark in _MARKS if mark in entry]
    if len(marks) != 1:
        raise RulesError(f"rule {name}: need exactly one of {', '.join(_MARKS)}")
    rule = Rule(
        name=name,
        kinds=_choice(name, "on", entry.get("on"), {**_KINDS, None: frozenset(Kind)}),
        visitor=_choice(name, "visitor", entry.get("visitor"), {str(v): v for v in Visitor}),
        source=entry.get("source", ""),
        header=_lower(entry.get("header")),
        matches=_matcher(name, marks[0], entry[marks[0]]),
        lacks=_lower(entry.get("lacks")),
        soon=entry.get("soon", False),
        https=entry.get("https", False),
    )
    if (rule.visitor is Visitor.PROXY) != bool(rule.source):
        raise RulesError(f'rule {name}: source: need one with visitor = "proxy", and only there')
    return rule


def _check_types(name: Any, entry: dict[str, Any]) -> None:
    for key, value in entry.items():
        if key in _SWITCHES:
            if not isinstance(value, bool):
                raise RulesError(f"rule {name}: {key}: need true or false")
        elif key in _TEXTS:
            if not isinstance(value, str):
                raise RulesError(f"rule {name}: {key}: need text")
        elif key not in _MARKS:
            raise RulesError(f"rule {name}: {key}: unknown")
        elif not isinstance(value, str) and not (_is_texts(value) and value):
            raise RulesError(f"rule {name}: {key}: need text, or a list of texts")


def _choice(name: str, key: str, value: Any, choices: dict[Any, Any]) -> Any:
    if value not in choices:
        known = ", ".join(f'"{choice}"' for choice in choices if choice is not None)
        found = "is missing" if value is None else f'found "{value}"'
        raise RulesError(f"rule {name}: {key}: {found}: need one of {known}")
    return choices[value]


def _matcher(name: str, mark: str, value: Any) -> Matcher:
    texts: list[str] = [value] if isinstance(value, str) else value
    try:
        if mark == "exact":
            return _exact(frozenset(texts))
        if mark == "starts":
            return _starts(tuple(texts))
        if mark == "contains":
            return _contains(texts[0]) if len(texts) == 1 else Literals(texts).search
        return _pattern(texts[0]) if mark == "pattern" else _list(texts[0])
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise RulesError(f"rule {name}: {mark}: {error}") from error


def _exact(texts: frozenset[str]) -> Matcher:
    return lambda text: text if text in texts else None


def _starts(texts: tuple[str, ...]) -> Matcher:
    return lambda text: next((start for start in texts if text.startswith(start)), None)


def _contains(word: str) -> Matcher:
    lowered = word.lower()
    return lambda text: word if lowered in text.lower() else None


def _pattern(value: str) -> Matcher:
    compiled = re.compile(value)

    def search(text: str) -> str | None:
        match = compiled.search(text)
        return match[0] if match else None

    return search


@cache
def _list(value: str) -> Matcher:
    if value != "crawlers":
        raise ValueError(f'found "{value}": need "crawlers"')
    document = tomllib.loads(_packaged("crawlers.toml"))
    return Literals(document["contains"], document["starts"]).search


def _packaged(name: str) -> str:
    return resources.files("openclick_sidecar").joinpath(name).read_text(encoding="utf-8")


def _lower(value: str | None) -> str | None:
    return None if value is None else value.lower()


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _syntax_error(error: Exception) -> RulesError:
    match = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", str(error), re.DOTALL)
    if match is None:
        return RulesError(f"not TOML: {error}")
    return RulesError(f"not TOML: {match[1]} (column {match[3]})", int(match[2]))
