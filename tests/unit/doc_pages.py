"""The pages that people read, as tests read them: sections, tables, code; and the command's words.

Who calls: tests that compare pages with the code.  Limits: a page is text, not a tree; a table's
cell is what stands between two bars.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from openclick_admin.main import openclick

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text("utf-8")
PACKAGES = (
    "core/openclick",
    "milter/openclick_milter",
    "sidecar/openclick_sidecar",
    "admin/openclick_admin",
)
FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Return every page that people read."""
    return [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def section(text: str, heading: str) -> str:
    """Return what stands below `heading` (with its marks), up to the next heading."""
    match = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert match is not None, heading
    return match[1]


def first_cells(text: str) -> list[str]:
    """Return the first cell of each row of a page's tables, without its backticks."""
    rows = re.findall(r"^\| (.+?) \|", text, re.MULTILINE)
    return [row.strip("`") for row in rows if row not in ("word", "reason", "folder", "status")]


def code_spans(text: str) -> list[str]:
    """Return what stands in backticks, and each line of the fenced blocks."""
    fenced = [match[1] for match in FENCED.finditer(text)]
    inline = re.findall(r"`([^`\n]+)`", FENCED.sub("", text))
    return [*inline, *(line for block in fenced for line in block.splitlines())]


def commands(command: click.Command, *words: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command below `command` that does something."""
    if not isinstance(command, click.Group):
        yield words
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from commands(below, *words, name)


def command_named(words: list[str]) -> click.Command | None:
    """Return the command that `words` begin with, None where they name none."""
    command: click.Command | None = openclick
    for word in words:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word)
    return None if isinstance(command, click.Group) and len(words) > 1 else command
