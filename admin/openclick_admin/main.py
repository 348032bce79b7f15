"""The command line: its subcommands, their modules, and how faults are told.

Exit status: 0 done, 1 something is not as it should be (a domain is not verified), 2 the command
line is wrong, 69 the store or the keys cannot be used, 77 rights are missing (init), 78 the
configuration is at fault, 130 ended by Ctrl-C while it waited.  Every error is one line on standard
error: where, what was found, what is needed.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from openclick import __version__
from openclick.config import DEFAULT_PATH, EX_CONFIG, ConfigError
from openclick.keys import KeyFault
from openclick.store import StoreFault
from openclick_admin.context import Admin

EX_USAGE = 2
EX_UNAVAILABLE = 69

_SUBCOMMANDS = {
    "init": ("openclick_admin.init", "Make the store, its directory and the first key."),
    "config": ("openclick_admin.config", "Check openclick.toml, or print a sample."),
    "domain": ("openclick_admin.domain", "Sending domains and their tracking domains."),
    "certificate": ("openclick_admin.certificate", "Certificates of tracking domains."),
    "webhook": ("openclick_admin.webhook", "Where events are posted."),
    "events": ("openclick_admin.events", "The events that were made."),
    "test-send": ("openclick_admin.probe", "Send a mail and tell whether it was tracked."),
    "stats": ("openclick_admin.stats", "Messages, opens and clicks, counted."),
    "explain": ("openclick_admin.explain", "What was done, or would be, and why."),
    "postfix": ("openclick_admin.postfix", "Put the milter into this Postfix, or take it out."),
    "doctor": ("openclick_admin.doctor.command", "Look at everything, and say what to do."),
    "instrument": ("openclick_admin.instrument", "Try instrumenting on one message, offline."),
    "store": ("openclick_admin.store", "Check the store, back it up, migrate it."),
    "apikey": ("openclick_admin.apikey", "Keys of the HTTP API."),
    "keys": ("openclick_admin.keys", "The keys that seal tracking links."),
}


class _LazyGroup(click.Group):
    """A group that imports a subcommand's module only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the subcommands in the order of the table."""
        return list(_SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a subcommand."""
        if cmd_name not in _SUBCOMMANDS:
            return None
        module = importlib.import_module(_SUBCOMMANDS[cmd_name][0])
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _SUBCOMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    default=DEFAULT_PATH,
    envvar="OPENCLICK_CONFIG",
    metavar="FILE",
    show_default=True,
    help="The settings.",
)
@click.version_option(__version__, prog_name="openclick")
@click.pass_context
def openclick(ctx: click.Context, config_path: str) -> None:
    """Open and click tracking for your own Postfix."""
    ctx.obj = Admin(config_path)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command; ends the process with its exit status."""
    try:
        openclick.main(args=argv, prog_name="openclick")
    except ConfigError as error:
        _end(str(error), EX_CONFIG)
    except (StoreFault, KeyFault) as error:
        _end(str(error), EX_UNAVAILABLE)
    except UnicodeEncodeError as error:  # an argument, or what the terminal has no letters for
        _end(f"{error.object[:80]!a} is no text: need {error.encoding}", EX_USAGE)


def _end(text: str, status: int) -> None:
    for text_line in text.splitlines():
        click.echo(f"openclick: {text_line}", err=True)
    sys.exit(status)
