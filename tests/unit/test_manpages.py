"""The manual pages: clean roff, and the same words as `--help`, the settings and the sample file.

tests/unit/test_docs.py compares the committed pages with what the code makes.
"""

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest
import roff

from openclick.config import sample_config
from openclick.settings import SECTIONS, table
from openclick_admin.main import openclick
from unit.doc_pages import command_named, commands

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "man").iterdir())

needs_mandoc = pytest.mark.skipif(
    shutil.which("mandoc") is None, reason="no mandoc found: Debian's package mandoc is needed"
)


def rendered(name: str) -> str:
    """Return a page as a terminal shows it, its words one blank apart."""
    (path,) = [page for page in PAGES if page.name == name]
    shown = subprocess.run(
        ["mandoc", "-T", "utf8", str(path)], capture_output=True, check=True, timeout=60
    )
    return " ".join(re.sub(r".\x08", "", shown.stdout.decode("utf-8")).split())


def words(text: str) -> str:
    """Return text with its words one blank apart."""
    return " ".join(text.split())


@needs_mandoc
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_clean_roff(page: Path) -> None:
    """`mandoc -T lint` has nothing to warn of."""
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", str(page)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff found: man-db brings it")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_groff_has_no_warning(page: Path) -> None:
    """Nor has what man(1) runs on Debian, but for a long word that it cannot fit to a line."""
    done = subprocess.run(
        ["groff", "-man", "-ww", "-z", "-Tutf8", str(page)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    said = [text for text in done.stderr.splitlines() if "cannot adjust line" not in text]
    assert said == []


@needs_mandoc
def test_openclick_1_says_what_help_says() -> None:
    """Every command with its sentences, every option with its own."""
    shown = rendered("openclick.1")

    missing = [
        text
        for spelled in commands(openclick)
        if (command := command_named(list(spelled))) is not None
        for text in (f"openclick {' '.join(spelled)}", *_told(command))
        if words(text) not in shown
    ]

    assert missing == []


def _told(command: click.Command) -> list[str]:
    paragraphs = (command.help or "").replace("\b\n", "").split("\n\n")
    options = [each for each in command.params if isinstance(each, click.Option)]
    named = [name for each in options for name in (*each.opts, *each.secondary_opts)]
    return [*paragraphs, *named, *(each.help for each in options if each.help)]


@needs_mandoc
def test_openclick_toml_5_says_what_the_table_says() -> None:
    """Every section and option, as the sample file has them."""
    shown, sample = rendered("openclick.toml.5"), sample_config()

    untold = [name for name in SECTIONS if f"[{name}]" not in shown]
    untold += [row.name for row in table() if words(f"{row.name} =") not in shown]
    untold += [row.name for row in table() if words(row.text) not in shown]

    assert untold == []
    assert [row.name for row in table() if f"{row.name} =" not in sample] == []


def test_no_text_is_taken_for_a_request() -> None:
    """A line that begins with a dot or a quote is shown as it is; hyphens can be copied."""
    text = roff.paragraph(".so it begins") + roff.paragraph("'quoted' --option \\n ü")

    assert text == (".PP\n\\&.so it begins\n.PP\n\\(aqquoted\\(aq \\-\\-option \\en \\[u00FC]\n")


def test_markdown_becomes_fonts() -> None:
    """Code and bold are bold, a link is its text."""
    assert roff.marked("`a-b` and [the **page**](x.md)") == "\\fBa\\-b\\fR and the \\fBpage\\fR"
