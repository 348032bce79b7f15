"""Reads a query string, and remembers what is wrong with each parameter.

Called by the list resources.  Pure.  Limits: of a repeated parameter the last one counts.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from openclick.instants import SECOND, Instant
from openclick_sidecar.api.faults import invalid_query

_MAX_PARAMETERS = 50
_MAX_VALUE_CHARS = 2000
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)([Zz]|[+-]\d\d:?\d\d)?)?\Z",
    re.ASCII,
)


class Query:
    """The parameters of one request."""

    def __init__(self, text: str) -> None:
        """`text` is what follows the question mark, still percent-encoded.  Raises ApiFault."""
        self._problems: dict[str, list[str]] = {}
        try:
            pairs = parse_qsl(
                text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS
            )
        except ValueError as error:
            raise invalid_query({"query": [str(error)]}) from None
        self._values = dict(pairs)

    def wrong(self, name: str, text: str) -> None:
        """Remember a problem."""
        self._problems.setdefault(name, []).append(text)

    def check(self) -> None:
        """Raise ApiFault where there is a problem."""
        if self._problems:
            raise invalid_query(self._problems)

    def text(self, name: str) -> str | None:
        """Return a parameter; an empty one counts as absent."""
        value = self._values.get(name) or None
        if value is not None and len(value) > _MAX_VALUE_CHARS:
            self.wrong(name, f"is longer than {_MAX_VALUE_CHARS} characters")
            return None
        return value

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number."""
        value = self.text(name)
        if value is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
            self.wrong(name, f"need a whole number from {least} to {most}")
            return default
        return int(value)

    def instant(self, name: str) -> Instant | None:
        """Return an instant in ISO 8601; without an offset it is UTC."""
        value = self.text(name)
        if value is None:
            return None
        # A + that was not percent-encoded has become a blank.
        at = _instant(re.sub(r" (\d\d:?\d\d)\Z", r"+\1", value) if "T" in value else value)
        if at is None:
            self.wrong(name, "need an instant in ISO 8601, such as 2026-11-23T22:20:00Z")
        return at


def _instant(text: str) -> Instant | None:
    match = _ISO.match(text)
    if match is None:
        return None
    day, clock, offset = match.groups()
    whole, _, fraction = (clock or "00:00").partition(".")
    try:
        moment = datetime.fromisoformat(
            f"{day}T{whole}{(offset or 'Z').upper().replace('Z', '+00:00')}"
        )
        seconds = int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None
    return seconds * SECOND + int(fraction.ljust(6, "0")[:6])
