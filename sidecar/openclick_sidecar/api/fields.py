"""Reads a JSON body field by field, and remembers what is wrong with each.

Called by the resources.  A reader method returns the value, or None (or an empty tuple) where the
field is absent or wrong; `Problems.check` raises once, with everything that was found, so that a
caller mends a request in one go.  Pure.

Promises: no text that is read holds a control character (text bodies: no NUL) or a lone surrogate,
so that none can end a header field early or fail to be written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from openclick_sidecar.api.faults import invalid_body, not_json

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DIGITS = 100


def read_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object that a body holds.  Raises ApiFault."""
    try:
        value = json.loads(
            raw.decode("utf-8"), parse_constant=_refuse_constant, parse_int=_whole_number
        )
    except RecursionError:
        raise not_json("nested too deeply") from None
    except ValueError as error:
        raise not_json(str(error)) from None
    if not isinstance(value, dict):
        raise not_json("need { ... }")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _whole_number(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError("a number has too many digits")
    return int(digits)


class Problems:
    """What is wrong with a body, by field."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def add(self, field: str, text: str) -> None:
        """Remember a problem."""
        self._found.setdefault(field, []).append(text)

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def by_field(self) -> Mapping[str, list[str]]:
        """What was found so far."""
        return self._found

    def check(self) -> None:
        """Raise ApiFault where there is a problem."""
        if self._found:
            raise invalid_body(self._found)


class Fields:
    """One JSON object that is being read; `path` is its place in the body."""

    def __init__(self, value: Mapping[str, Any], problems: Problems, path: str = "") -> None:
        self._value = value
        self._problems = problems
        self._path = f"{path}." if path else ""
        self._known: set[str] = set()

    def has(self, name: str) -> bool:
        """Tell whether a field is there, null or not."""
        self._known.add(name)
        return name in self._value

    def wrong(self, name: str, text: str) -> None:
        """Remember a problem with a field."""
        self._problems.add(f"{self._path}{name}", text)

    def raw(self, name: str, *, required: bool = False) -> Any:
        """Return a field as it is; null counts as absent."""
        self._known.add(name)
        value = self._value.get(name)
        if value is None and required:
            self.wrong(name, "is required")
        return value

    def text(
        self, name: str, most: int, *, required: bool = False, multiline: bool = False
    ) -> str | None:
        """Return a text of 1 to `most` characters."""
        value = self.raw(name, required=required)
        if value is None:
            return None
        problem = text_problem(value, most, multiline=multiline)
        if problem:
            self.wrong(name, problem)
            return None
        return str(value)

    def boolean(self, name: str) -> bool | None:
        """Return true or false."""
        value = self.raw(name)
        if value is not None and not isinstance(value, bool):
            self.wrong(name, "need true or false")
            return None
        return value

    def label(self, name: str, is_valid: Callable[[str], bool], needs: str) -> str | None:
        """Return a word that `is_valid` accepts."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, str) or not is_valid(value):
            self.wrong(name, needs)
            return None
        return value

    def items(self, name: str, most: int, *, required: bool = False) -> list[Any]:
        """Return a list of at most `most` entries, at least one where it is required."""
        value = self.raw(name, required=required)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(name, "need a list")
            return []
        if len(value) > most or (required and not value):
            self.wrong(name, f"has {len(value)} entries; need {1 if required else 0} to {most}")
            return []
        return value

    def object(self, name: str) -> Fields | None:
        """Return an object to read further."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong(name, "need an object")
            return None
        return Fields(value, self._problems, f"{self._path}{name}")

    def refuse(self, names: Mapping[str, str]) -> None:
        """Name the fields that OpenClick has no use for, each with the reason."""
        for name, reason in names.items():
            if self.raw(name) is not None:
                self.wrong(name, reason)

    def end(self) -> None:
        """Name every field that nobody has asked for."""
        for name in self._value:
            if name not in self._known:
                self.wrong(name[:64], "there is no such field")


def text_problem(value: Any, most: int, *, multiline: bool = False) -> str | None:
    """Return what is wrong with a text of 1 to `most` characters, None for nothing."""
    if not isinstance(value, str):
        return "need a text"
    if not 1 <= len(value) <= most:
        return f"has {len(value)} characters; need 1 to {most}"
    if _SURROGATE.search(value):
        return "holds half a character (a lone surrogate)"
    if "\0" in value or (not multiline and _CONTROL.search(value)):
        return "holds a control character"
    return None
