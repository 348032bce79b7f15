"""Writes the pages that are made from code: settings.md, openclick.toml and the manual pages.

Called by `make docs`, and by tests/unit/test_docs.py, which compares the pages with the code.
Promise: the same code gives the same bytes.  Limits: the other pages are written by hand; the same
test keeps them in agreement with the code.
"""

from __future__ import annotations

from pathlib import Path

from manpages import man_pages

from openclick.config import DEFAULT_PATH, EX_CONFIG, sample_config, toml_value
from openclick.reload import effect
from openclick.settings import SECTIONS, Setting, table

DIRECTORY = Path(__file__).resolve().parent

_HEAD = f"""\
# Settings

<!-- Written by `make docs` from core/openclick/settings.py; edit that file instead. -->

Both daemons and the command read `{DEFAULT_PATH}`, or the file that `--config` names.
The file is TOML; every option stands in a section, and every option has a default.
An unknown option or a value that cannot be used is an error with file and line.
`openclick config check` names every fault and exits {EX_CONFIG} where there is one.
[openclick.toml](openclick.toml) is the same table as a file to start from.
Under each option stands when a change takes effect.
SIGHUP (`systemctl kill -s HUP openclick-milter`) reads the file again.
A fault in it changes nothing and is named.
An option that has changed and needs a restart is named, and keeps its old value.
"""


def pages() -> dict[str, str]:
    """Return every generated page: its name in docs/, and its text."""
    return {"settings.md": settings_page(), "openclick.toml": sample_config(), **man_pages()}


def settings_page() -> str:
    """Return the reference of every setting, in the order of the sample file."""
    blocks = [_HEAD]
    for section, settings in SECTIONS.items():
        blocks.append(f"## [{section}]\n\n{_lines(settings.__doc__ or '')}\n")
        blocks += [_entry(row) for row in table() if row.section == section]
    return "\n".join(blocks)


def _entry(row: Setting) -> str:
    return (
        f"### {row.section}.{row.name}\n\n"
        f"{_lines(row.text)}\n\n"
        f"- default: `{toml_value(row.default)}`\n"
        f"- needs: {row.kind.needs}\n"
        f"- takes effect: {effect(row.section, row.name)}\n"
    )


def _lines(text: str) -> str:
    """Put each sentence on a line of its own; the table ends one with two blanks."""
    return text.strip().replace(".  ", ".\n")


def main() -> None:
    """Write every page anew."""
    for name, text in pages().items():
        (DIRECTORY / name).parent.mkdir(exist_ok=True)
        (DIRECTORY / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
