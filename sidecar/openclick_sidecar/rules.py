"""Reads the judge's rules from their data file.

Called at start; the file `rules.toml` beside this module is the only one today.  A rule that cannot
be used is a fault of the package, so it ends the start with a RulesError that names it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

from openclick.tokens import Kind
from openclick.verdicts import Visitor

_KINDS = {"open": frozenset({Kind.OPEN}), "click": frozenset({Kind.CLICK}), None: frozenset(Kind)}
_MARKS = ("exact", "starts", "contains", "pattern")


class RulesError(Exception):
    """A rule that cannot be used; the message names it and says what is needed."""


@dataclass(frozen=True)
class Rule:
    """One rule: `matches` takes the text of `header` (the user agent where None)."""

    name: str
    kinds: frozenset[Kind]
    visitor: Visitor
    source: str
    header: str | None
    matches: Callable[[str], str | None]
    """Returns what it matched, for the evidence, or None."""


def packaged_rules() -> tuple[Rule, ...]:
    """Return the rules that come with OpenClick.  Raises RulesError."""
    file = resources.files("openclick_sidecar").joinpath("rules.toml")
    return parse_rules(file.read_text(encoding="utf-8"))


def parse_rules(text: str) -> tuple[Rule, ...]:
    """Return the rules that TOML `text` holds, in order.  Raises RulesError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RulesError(f"not TOML: {error}") from error
    entries = document.get("rule", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise RulesError("rule: need [[rule]] tables")
    return tuple(map(_rule, entries))


def _rule(entry: dict[str, Any]) -> Rule:
    name = entry.get("name", "(no name)")
    marks = [mark for mark in _MARKS if mark in entry]
    if len(marks) != 1:
        raise RulesError(f"rule {name}: need exactly one of {', '.join(_MARKS)}")
    for key, value in entry.items():
        if not isinstance(value, str):
            raise RulesError(f"rule {name}: {key}: need text")
    try:
        return Rule(
            name=entry["name"],
            kinds=_KINDS[entry.get("on")],
            visitor=Visitor(entry["visitor"]),
            source=entry.get("source", ""),
            header=entry.get("header"),
            matches=_matcher(marks[0], entry[marks[0]]),
        )
    except (KeyError, ValueError, re.error) as error:
        raise RulesError(f"rule {name}: {error}") from error


def _matcher(mark: str, value: str) -> Callable[[str], str | None]:
    if mark == "exact":
        return lambda text: text if text == value else None
    if mark == "starts":
        return lambda text: value if text.startswith(value) else None
    if mark == "contains":
        lowered = value.lower()
        return lambda text: value if lowered in text.lower() else None
    compiled = re.compile(value)

    def search(text: str) -> str | None:
        match = compiled.search(text)
        return match[0] if match else None

    return search
