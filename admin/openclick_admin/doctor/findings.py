"""A finding: what a check has found, how bad it is, and what is to be done.  Pure data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad a finding is; the greater, the worse.

    A fault costs mail, hits, events or their tracking now; a warning will, or may.
    """

    OK = 0
    WARNING = 1
    FAULT = 2

    @property
    def word(self) -> str:
        """What is printed: ok, warning or fault."""
        return self.name.lower()


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's: `subject` is what was looked at, such as a domain or a service.

    `to_do` is empty where nothing is to be done.
    """

    level: Level
    subject: str
    found: str
    to_do: str = ""


def ok(subject: str, found: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(Level.OK, subject, found)


def warning(subject: str, found: str, to_do: str) -> Finding:
    """Return a finding of what will, or may, do harm."""
    return Finding(Level.WARNING, subject, found, to_do)


def fault(subject: str, found: str, to_do: str) -> Finding:
    """Return a finding of what does harm now."""
    return Finding(Level.FAULT, subject, found, to_do)


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level there is, OK where there is no finding."""
    return max((finding.level for finding in findings), default=Level.OK)
