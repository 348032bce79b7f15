"""Reads `openclick.toml` into a `Config`, and says what is wrong with it.

Called by both daemons and the command at start.  Promises: every fault of a file is reported in
one go, each in one line with file, line, option, what was found and what is needed; a file with a
fault yields no `Config` at all.

Limits: line numbers are found by looking for the option's name below its section's header, since
`tomllib` gives none; an option that is written inside an inline table is reported at the table, a
quoted name that needs escapes at its section.
"""

from __future__ import annotations

import difflib
import re
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openclick.option_kinds import HostPort
from openclick.settings import SECTIONS, Config, Setting, table

DEFAULT_PATH = "/etc/openclick/openclick.toml"
EX_CONFIG = 78
"""Exit status of a program that finds its configuration at fault (sysexits.h)."""

_MAX_SHOWN_CHARS = 120


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a configuration file."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: {self.text}"


class ConfigError(Exception):
    """A configuration that cannot be used; `faults` holds every reason, in the file's order."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


def load_config(path: str) -> Config:
    """Read the file at `path`.

    Raises ConfigError, also where the file cannot be read or is not TOML.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError([Fault(path, 0, f"cannot be read: {reason}")]) from error
    return parse_config(text, path)


def parse_config(text: str, path: str) -> Config:
    """Read `text`, which came from `path`.  Raises ConfigError."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Mostly TOMLDecodeError; tomllib lets a number of 5,000 digits and an array of 5,000 levels
        # out as what Python says of them.
        raise ConfigError([_syntax_fault(error, text, path)]) from error
    reader = _Reader(text, path)
    sections = {name: reader.section(name, value) for name, value in document.items()}
    if reader.faults:
        raise ConfigError(sorted(reader.faults, key=lambda fault: fault.line))
    return Config(**{name: SECTIONS[name](**values) for name, values in sections.items()})


class _Reader:
    """Checks a parsed document against the settings table and collects the faults."""

    def __init__(self, text: str, path: str) -> None:
        self._lines = text.split("\n")  # as TOML does: str.splitlines knows seven more line ends
        self._path = path
        self._rows = {(row.section, row.name): row for row in table()}
        self.faults: list[Fault] = []

    def section(self, name: str, value: Any) -> dict[str, Any]:
        if name not in SECTIONS or not isinstance(value, dict):
            self._unknown_section(name, value)
            return {}
        return {
            option: parsed
            for option, found in value.items()
            if (parsed := self._option(name, option, found)) is not None
        }

    def _option(self, section: str, name: str, found: Any) -> Any:
        row = self._rows.get((section, name))
        if row is None:
            known = [row.name for row in table() if row.section == section]
            shown = _shown_name(name)
            self._fault(section, name, f"{section}.{shown}: unknown option{_hint(name, known)}")
            return None
        try:
            return row.kind.parse(found)
        except (ValueError, TypeError):
            self._fault(section, name, f"{section}.{name} = {_shown(found)}: need {row.kind.needs}")
            return None

    def _unknown_section(self, name: str, value: Any) -> None:
        if name in SECTIONS:
            text = f"{name} = {_shown(value)}: need a section, written [{name}]"
        elif isinstance(value, dict):
            text = f"[{_shown_name(name)}]: unknown section{_hint(name, list(SECTIONS))}"
        else:
            text = f"{_shown_name(name)}: unknown option; every option stands in a section"
        self._fault(name, None if isinstance(value, dict) else name, text)

    def _fault(self, section: str, option: str | None, text: str) -> None:
        line = _find_line(self._lines, section, option)
        self.faults.append(Fault(self._path, line, text))


def _find_line(lines: list[str], section: str, option: str | None) -> int:
    """Return the number of the line where `option` of `section` stands, or 0."""
    header = re.compile(rf"\s*\[\s*{re.escape(section)}\s*\]")
    dotted = re.compile(rf"\s*{re.escape(section)}\s*(?:\.|=)")
    key = re.compile(rf"\s*[\"']?{re.escape(option)}[\"']?\s*=") if option else None
    section_line = 0
    inside = False
    for number, line in enumerate(lines, start=1):
        if line.lstrip().startswith("["):
            inside = header.match(line) is not None
        if inside and not section_line:
            section_line = number
        if key is not None and inside and key.match(line):
            return number
        if dotted.match(line) and (option is None or option in line):
            return number
    return section_line


def _syntax_fault(error: ValueError | RecursionError, text: str, path: str) -> Fault:
    match = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", str(error), re.DOTALL)
    if match is None:
        at_the_end = str(error).endswith("(at end of document)")
        line = text.rstrip().count("\n") + 1 if at_the_end else 0
        return Fault(path, line, f"not TOML: {_one_line(str(error))}")
    return Fault(path, int(match[2]), f"not TOML: {_one_line(match[1])} (column {match[3]})")


def _hint(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(known)}"


def _shown(found: Any) -> str:
    """Quote what was found, in one line of bearable length."""
    try:
        text = toml_value(found)
    except ValueError:  # Python writes no number of more than 4,300 digits
        text = "(a number of thousands of digits)"
    return text if len(text) <= _MAX_SHOWN_CHARS else text[:_MAX_SHOWN_CHARS] + "…"


def _shown_name(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", name) else _shown(name)


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    return f"\\u{ord(char):04X}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08X}"


def toml_value(value: Any) -> str:
    """Write `value` as TOML would, for error messages and the sample file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | HostPort):
        return '"' + _one_line(str(value).replace("\\", "\\\\").replace('"', '\\"')) + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    return _one_line(f'"{value}"')


def sample_config() -> str:
    """Return the sample file: every option with its sentence, its default commented out."""
    blocks: list[str] = []
    for section, cls in SECTIONS.items():
        rows = [row for row in table() if row.section == section]
        summary = (cls.__doc__ or "").strip()
        blocks.append(f"# {summary}\n[{section}]\n\n" + "\n\n".join(map(_sample_row, rows)))
    head = (
        "# openclick.toml: settings of openclick-milter, openclick-sidecar and openclick.\n"
        "# Every option stands here with its default; remove the '#' to change one.\n"
        "# Check the file with: openclick config check\n"
    )
    return head + "\n" + "\n\n".join(blocks) + "\n"


def _sample_row(row: Setting) -> str:
    text = f"{row.text}  Needs {row.kind.needs}."
    comment = textwrap.fill(
        text, 96, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )
    return f"{comment}\n#{row.name} = {toml_value(row.default)}"
