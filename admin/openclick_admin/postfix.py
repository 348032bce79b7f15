"""`openclick postfix`: the exact commands that put the milter into this Postfix.

    openclick postfix                         prints them, and changes nothing
    openclick postfix --apply                 shows a diff, keeps a copy, runs them, reloads
    openclick postfix --undo                  puts the copy back, byte for byte

What is changed and why: `postfix_plan`; the split per recipient: `postfix_split`; how it is taken
back: `postfix_copies`.  What is printed can be fed to a shell: all that is no command is a comment.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any, NoReturn

import click

from openclick.settings import Config
from openclick_admin import postfix_copies
from openclick_admin.context import Admin, pass_admin
from openclick_admin.names import names_parameter
from openclick_admin.output import json_option, postfix_config_option, print_json
from openclick_admin.postconf import (
    Postfix,
    PostfixFault,
    is_running,
    read_postfix,
    reload_postfix,
)
from openclick_admin.postfix_plan import Plan, Wishes
from openclick_admin.postfix_wiring import plan_for

EX_NOPERM = 77
EX_UNAVAILABLE = 69


@click.command("postfix")
@click.option("--apply", "mode", flag_value="apply", help="Show a diff, keep a copy, change it.")
@click.option("--undo", "mode", flag_value="undo", help="Put the kept copy back, byte for byte.")
@click.option("--force", is_flag=True, help="With --undo: though files were changed since.")
@click.option(
    "--strict", is_flag=True, help="Write default_action=tempfail: mail waits for the milter."
)
@click.option(
    "--per-recipient",
    "per_recipient",
    multiple=True,
    metavar="DOMAIN",
    callback=names_parameter,
    help="Split mail of this envelope sender's domain into one message a recipient; repeatable.",
)
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="NAME/TYPE",
    help="The smtpd of master.cf that apps submit to, instead of those recognised; repeatable.",
)
@postfix_config_option
@json_option
@pass_admin
def command(
    admin: Admin,
    mode: str | None,
    force: bool,
    strict: bool,
    per_recipient: tuple[str, ...],
    services: tuple[str, ...],
    directory: Path | None,
    as_json: bool,
) -> None:
    """Print the commands that put the milter into this machine's Postfix, or run them."""
    if as_json and mode is not None:
        raise click.UsageError("--json goes with neither --apply nor --undo")
    if force and mode != "undo":
        raise click.UsageError("--force goes with --undo")
    if mode is not None and os.geteuid() != 0:
        _end(f"--{mode} changes Postfix's configuration: run this as root", EX_NOPERM)
    try:
        postfix = read_postfix(directory)
        if mode == "undo":
            _undo(postfix, force)
            return
        wishes = Wishes(strict, services, per_recipient)
        plan = plan_for(postfix, admin.config.milter, wishes)
        plan.notes += _directory_notes(admin.config)
        if mode == "apply":
            _apply(postfix, plan)
        elif as_json:
            print_json(_as_json(postfix, plan))
        else:
            _print(postfix, plan)
    except PostfixFault as error:
        _end(str(error), EX_UNAVAILABLE)
    if plan.faults:
        raise SystemExit(1)


def _print(postfix: Postfix, plan: Plan) -> None:
    _print_head(postfix, plan)
    for words in _commands(postfix, plan):
        click.echo(shlex.join(words))
    for name, text in plan.files.items():
        path = postfix.config_directory / name
        click.echo(f"cat > {shlex.quote(str(path))} <<'END'\n{text}END")
    if plan.changes or plan.files:
        click.echo(shlex.join(["postfix", *postfix.where, "reload"]))
    _print_sentences(plan)


def _print_head(postfix: Postfix, plan: Plan) -> None:
    where = [service.key for service in plan.services] + ["sendmail(1)"]
    version = postfix.parameters.get("mail_version", "?")
    click.echo(f"# Postfix {version}, {postfix.config_directory}: {', '.join(where)}")
    if not plan.changes:
        click.echo("# Nothing to change: the milter stands where it should.")


def _print_sentences(plan: Plan) -> None:
    for note in plan.notes:
        click.echo(f"# {note}")
    if plan.settings:
        click.echo("# Proposed for openclick.toml:\n#   [milter]")
        for line in plan.settings:
            click.echo(f"#   {line}")
    for fault in plan.faults:
        click.echo(f"# FAULT: {fault}")


def _commands(postfix: Postfix, plan: Plan) -> list[list[str]]:
    return [["postconf", *postfix.where, change.option, change.argument] for change in plan.changes]


def _apply(postfix: Postfix, plan: Plan) -> None:
    _print_head(postfix, plan)
    if plan.faults:
        _print_sentences(plan)
        _end("not applied", 1)
    directory = postfix.config_directory
    expected = postfix_copies.preview(directory, plan)
    if expected.changed:
        click.echo(expected.diff(), nl=False)
        folder = postfix_copies.apply(directory, plan, expected)
        click.echo(f"# Applied; the files as they were: {folder} (openclick postfix --undo).")
        _reload(directory)
    _print_sentences(plan)


def _undo(postfix: Postfix, force: bool) -> None:
    directory = postfix.config_directory
    name = postfix_copies.undo(directory, force=force)
    click.echo(f"# {directory}: as before the apply (copy {name}).")
    _reload(directory)


def _reload(directory: Path) -> None:
    if is_running(directory):
        reload_postfix(directory)
        click.echo("# Postfix has reloaded.")
    else:
        click.echo("# Postfix is not running: it reads this when it starts.")


def _directory_notes(config: Config) -> list[str]:
    """Tell how the socket's directory is made, where it is not there."""
    kind, _, path = config.milter.socket.partition(":")
    folder = Path(path).parent
    if kind != "unix" or folder.is_dir():
        return []
    made = f"install -d -o openclick-milter -g postfix -m 2750 {folder}"
    return [f"{folder} is missing: {made}, then start the milter."]


def _as_json(postfix: Postfix, plan: Plan) -> dict[str, Any]:
    return {
        "version": postfix.parameters.get("mail_version"),
        "config_directory": str(postfix.config_directory),
        "services": [service.key for service in plan.services],
        "commands": _commands(postfix, plan),
        "files": plan.files,
        "notes": plan.notes,
        "settings": plan.settings,
        "faults": plan.faults,
    }


def _end(text: str, status: int) -> NoReturn:
    for line in text.splitlines():
        click.echo(f"openclick: {line}", err=True)
    raise SystemExit(status)
