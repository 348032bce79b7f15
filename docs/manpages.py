"""The manual pages: openclick(1), openclick.toml(5), openclick-milter(8), openclick-sidecar(8).

Called by `generate`.  Everything in them is read from where it holds: settings from the settings
table, commands and options from click's and argparse's own objects, exit statuses, signals and what
happens in a fault from the tables of README.md, the date from CHANGELOG.md.  Promise: the same
sources give the same bytes, whatever version of click is there.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import roff

from openclick import __version__
from openclick.config import DEFAULT_PATH, toml_value
from openclick.settings import SECTIONS, table
from openclick.startup import command_line
from openclick_admin.main import openclick
from openclick_admin.probe import PASSWORD_VARIABLE
from openclick_milter import main as milter
from openclick_sidecar import main as sidecar

_ROOT = Path(__file__).resolve().parents[1]
_README = (_ROOT / "README.md").read_text("utf-8")
_CHANGELOG = (_ROOT / "CHANGELOG.md").read_text("utf-8")
_NAMES = ("openclick(1)", "openclick.toml(5)", "openclick-milter(8)", "openclick-sidecar(8)")
_LABEL_CHARS = 40
_FILES = (
    (DEFAULT_PATH, "The settings: `openclick.toml`(5)."),
    (
        "/var/lib/openclick",
        "The store: `openclick.db`, `messages.db` and `hits.db`, and the journal.",
    ),
    ("/var/lib/openclick/keys", "The keys. Back them up: a link outlives everything but its key."),
    ("/var/spool/postfix/openclick", "The directory of the milter's socket."),
)


def man_pages() -> dict[str, str]:
    """Return every page: its name below docs/, and its text."""
    return {
        "man/openclick.1": _openclick(),
        "man/openclick.toml.5": _settings(),
        "man/openclick-milter.8": _milter(),
        "man/openclick-sidecar.8": _sidecar(),
    }


# openclick(1)


def _openclick() -> str:
    blocks = [_command_block(words, command) for words, command in _commands(openclick)]
    return roff.page(
        [
            _head("openclick", 1),
            roff.section("NAME", "openclick \\- open and click tracking for your own Postfix\n"),
            roff.section(
                "SYNOPSIS",
                "\\fBopenclick\\fR [\\fB\\-\\-config\\fR \\fIFILE\\fR] \\fICOMMAND\\fR "
                "[\\fIOPTION\\fR ...] [\\fIARGUMENT\\fR ...]\n",
            ),
            roff.section(
                "DESCRIPTION",
                roff.paragraph(
                    "`openclick` sets up, explains and looks after OpenClick: `openclick-milter`(8)"
                    " instruments the HTML of outgoing mail, `openclick-sidecar`(8) answers its "
                    "tracking links and posts events to webhooks."
                ),
                roff.paragraph("Every listing has `--json`. `--help` works after any command."),
            ),
            roff.section("OPTIONS", *_options(openclick)),
            roff.section("COMMANDS", *blocks),
            _exit_statuses(),
            roff.section(
                "ENVIRONMENT",
                roff.entry("`OPENCLICK_CONFIG`", "The settings, where `--config` is not given."),
                roff.entry(f"`{PASSWORD_VARIABLE}`", "The password of `test-send --login`."),
            ),
            _files(),
            _see_also("openclick(1)"),
        ],
        "the commands themselves",
    )


def _commands(
    command: click.Command, *words: str
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command that does something, with the words that name it."""
    if not isinstance(command, click.Group):
        yield words, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from _commands(below, *words, name)


def _command_block(words: tuple[str, ...], command: click.Command) -> str:
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    usage = " ".join(["openclick", *words])
    usage += "".join(f" {each.metavar or (each.name or '').upper()}" for each in arguments)
    paragraphs = (command.help or "").split("\n\n")
    return roff.subsection(usage, *map(_paragraph, paragraphs), *_options(command))


def _paragraph(text: str) -> str:
    """Return a paragraph of a command's help; click leaves the lines after a \\b as they stand."""
    first, _, rest = text.partition("\n")
    if first.strip() != "\b":
        return roff.paragraph(text)
    # Dedented, because Python 3.13 takes off the margin of a docstring and 3.11 does not.
    return roff.literal(textwrap.dedent(rest).splitlines())


def _options(command: click.Command) -> list[str]:
    return [
        roff.entry(_spelled(each), _help(each))
        for each in command.params
        if isinstance(each, click.Option) and not each.hidden
    ]


def _spelled(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    if option.is_flag or option.count:
        return names
    if option.metavar:
        return f"{names} {option.metavar}"
    if isinstance(option.type, click.Choice) and not _is_long(option.type):
        return f"{names} {'|'.join(map(str, option.type.choices))}"
    return f"{names} {option.opts[0].lstrip('-').upper()}"


def _is_long(choice: click.Choice) -> bool:  # type: ignore[type-arg,unused-ignore]
    """Whether the choices would fill the label's line."""
    return sum(map(len, map(str, choice.choices))) > _LABEL_CHARS


def _help(option: click.Option) -> str:
    text = option.help or ""
    if isinstance(option.type, click.Choice) and _is_long(option.type):
        text += f" One of {', '.join(map(str, option.type.choices))}."
    if option.show_default and not option.is_flag:
        default = option.default() if callable(option.default) else option.default
        told = ", ".join(map(str, default)) if isinstance(default, tuple | list) else default
        text += f" [default: {told}]"
    return text.strip()


# openclick.toml(5)


def _settings() -> str:
    blocks = []
    for name, settings in SECTIONS.items():
        options = [
            roff.entry(
                f"`{row.name}` = {toml_value(row.default)}",
                f"{row.text} Needs {row.kind.needs}.",
            )
            for row in table()
            if row.section == name
        ]
        about = roff.paragraph(settings.__doc__ or "")
        blocks.append(roff.subsection(f"[{name}]", about, *options))
    return roff.page(
        [
            _head("openclick.toml", 5),
            roff.section("NAME", "openclick.toml \\- settings of OpenClick\n"),
            roff.section("SYNOPSIS", f"\\fB{roff.escaped(DEFAULT_PATH)}\\fR\n"),
            roff.section(
                "DESCRIPTION",
                roff.paragraph(
                    "Both daemons and the command read this file, or the one that `--config` names."
                    " It is TOML; every option stands in a section, and every option has a "
                    "default, which is shown beside its name. An unknown option or a value that "
                    "cannot be used is an error with file and line."
                ),
                roff.paragraph(
                    "`openclick config check` names every fault. `openclick config sample` prints "
                    "a file with every option."
                ),
            ),
            roff.section("OPTIONS", *blocks),
            roff.section(
                "EXAMPLES",
                roff.literal(["[sidecar]", 'public_hostname = "mail.example.com"']),
            ),
            _see_also("openclick.toml(5)"),
        ],
        "the settings table",
    )


# The daemons


def _milter() -> str:
    return roff.page(
        [
            *_daemon(milter.PROGRAM, milter.PURPOSE),
            roff.section(
                "DESCRIPTION",
                roff.paragraph(
                    "Postfix hands every submission to `openclick-milter`, which replaces the links"
                    " of its HTML by tracking links and adds one open image, where the sending "
                    "domain or a control header asks for it. Whatever fails, the mail goes out as "
                    "it came, and one log line, queue id first, says why."
                ),
                roff.paragraph(
                    "`openclick postfix` puts it into a Postfix; `openclick explain message` tells "
                    "what it did with a message."
                ),
            ),
            roff.section("OPTIONS", *_daemon_options(milter.PROGRAM, milter.PURPOSE)),
            roff.section(
                "SIGNALS", *(roff.entry(f"`{s}`", text) for s, text in _rows("### Signals"))
            ),
            _exit_statuses(),
            _files(),
            _see_also("openclick-milter(8)"),
        ],
        "the daemon itself",
    )


def _sidecar() -> str:
    return roff.page(
        [
            *_daemon(sidecar.PROGRAM, sidecar.PURPOSE),
            roff.section(
                "DESCRIPTION",
                roff.paragraph(
                    "`openclick-sidecar` answers the tracking domains: a link by a redirect to the "
                    "destination that its token holds, an open image by a picture of one pixel, "
                    "each once the hit is on disk. It tells people from machines and posts signed "
                    "events to webhooks. `openclick explain hit` tells how it judged."
                ),
            ),
            roff.section("OPTIONS", *_daemon_options(sidecar.PROGRAM, sidecar.PURPOSE)),
            roff.section("SIGNALS", roff.paragraph(_sentence("### Signals", "openclick-sidecar "))),
            roff.section(
                "WHEN SOMETHING FAILS",
                *(roff.entry(what, then) for what, then in _rows("### What happens when")),
            ),
            _exit_statuses(),
            _files(),
            _see_also("openclick-sidecar(8)"),
        ],
        "the daemon itself",
    )


def _daemon(program: str, purpose: str) -> list[str]:
    about = purpose[0].lower() + purpose[1:].rstrip(".")
    return [
        _head(program, 8),
        roff.section("NAME", f"{roff.escaped(program)} \\- {roff.escaped(about)}\n"),
        roff.section(
            "SYNOPSIS",
            f"\\fB{roff.escaped(program)}\\fR [\\fB\\-\\-config\\fR \\fIFILE\\fR] "
            "[\\fB\\-\\-check\\-config\\fR]\n",
        ),
    ]


def _daemon_options(program: str, purpose: str) -> list[str]:
    actions: list[argparse.Action] = command_line(program, purpose)._actions  # noqa: SLF001
    return [
        roff.entry(
            ", ".join(f"`{name}`" for name in action.option_strings)
            + (f" {action.metavar}" if action.metavar else ""),
            _sentence_case(action.help or "show the version and end")
            + (f" [default: {action.default}]" if action.metavar else ""),
        )
        for action in actions
    ]


def _sentence_case(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


# What the pages share


def _head(name: str, number: int) -> str:
    released = re.search(rf"^## \[{re.escape(__version__)}\] - (\S+)$", _CHANGELOG, re.MULTILINE)
    assert released is not None, f"CHANGELOG.md has no entry of {__version__}"
    return roff.head(name, number, released[1], __version__)


def _exit_statuses() -> str:
    rows = _rows("### Exit statuses")
    return roff.section("EXIT STATUS", *(roff.entry(f"`{code}`", text) for code, text in rows))


def _files() -> str:
    return roff.section("FILES", *(roff.entry(f"`{path}`", text) for path, text in _FILES))


def _see_also(own: str) -> str:
    others = [name for name in (*_NAMES, "postfix(1)", "postconf(1)") if name != own]
    spelled = [re.sub(r"^(.+)\((\d)\)$", r"`\1`(\2)", name) for name in others]
    return roff.section("SEE ALSO", roff.paragraph(", ".join(spelled)))


def _section(heading: str) -> str:
    found = re.search(rf"^{heading}\n(.*?)(?=^#|\Z)", _README, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


def _rows(heading: str) -> list[tuple[str, str]]:
    """Return the rows of the table below a heading of README.md, its first two columns."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|", _section(heading), re.MULTILINE)
    return [(first, second) for first, second in rows[1:]]


def _sentence(heading: str, start: str) -> str:
    """Return the line below a heading that begins with `start`, and the one after it."""
    lines = _section(heading).splitlines()
    at = next(number for number, text in enumerate(lines) if text.startswith(start))
    return " ".join(lines[at : at + 2])
