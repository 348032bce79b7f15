"""`openclick doctor`: runs every check there is, and prints per line what was found and what to do.

Exit status by the worst finding: 0 all is well, 1 there is a warning, 3 there is a fault (2 is
click's, for a wrong command line).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from openclick.config import ConfigError
from openclick.logs import printable
from openclick_admin.context import Admin, pass_admin
from openclick_admin.doctor.findings import Finding, Level, fault, worst
from openclick_admin.output import json_option, postfix_config_option, print_json

EX_FAULT_FOUND = 3
_STATUSES = {Level.OK: 0, Level.WARNING: 1, Level.FAULT: EX_FAULT_FOUND}
_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAULT: "red"}
Named = tuple[str, Finding]


@click.command("doctor")
@click.option("--quiet", is_flag=True, help="Print warnings and faults alone.")
@postfix_config_option
@json_option
@pass_admin
def command(admin: Admin, quiet: bool, directory: Path | None, as_json: bool) -> None:
    """Look at everything: daemons, Postfix, DNS, certificates, store, webhooks; say what to do.

    Exit status: 0 all is well, 1 there is a warning, 3 there is a fault.
    """
    findings = _examined(admin, directory)
    level = worst(finding for _, finding in findings)
    shown = [pair for pair in findings if not quiet or pair[1].level > Level.OK]
    if as_json:
        print_json(_as_json(shown, level))
    else:
        _print(shown)
        click.echo(_summary(findings))
    raise SystemExit(_STATUSES[level])


def _examined(admin: Admin, directory: Path | None) -> list[Named]:
    """Return every finding; settings that cannot be read leave nothing else to look at."""
    from openclick_admin.doctor.checks import examine  # noqa: PLC0415 - slow to load
    from openclick_admin.doctor.gather import STEPS, gather  # noqa: PLC0415 - slow to load

    try:
        config = admin.named_config
    except ConfigError as error:
        cure = "mend the settings: openclick config check"
        return [("settings", fault(each.path, str(each), cure)) for each in error.faults]
    console = Console(stderr=True)
    console.quiet = not console.is_terminal  # Debian 12's rich ends even a disabled bar with a line
    with Progress(console=console, transient=True, disable=console.quiet) as progress:
        task = progress.add_task("", total=STEPS)
        facts = gather(
            config,
            admin.config_path,
            directory,
            lambda step: progress.update(task, description=step, advance=1),
        )
    return [(check.name, finding) for check, finding in examine(facts)]


def _print(findings: Sequence[Named]) -> None:
    width = max((len(name) for name, _ in findings), default=0)
    for name, finding in findings:
        word = click.style(f"{finding.level.word:<7}", fg=_COLOURS[finding.level])
        click.echo(f"{word}  {name:<{width}}  {printable(f'{finding.subject}: {finding.found}')}")
        if finding.to_do:
            click.echo(f"{'':<{9 + width}}  -> {printable(finding.to_do)}")


def _summary(findings: Sequence[Named]) -> str:
    counts = Counter(finding.level for _, finding in findings)
    faults, warnings = counts[Level.FAULT], counts[Level.WARNING]
    return f"{faults} faults, {warnings} warnings, {counts[Level.OK]} lines ok"


def _as_json(findings: Sequence[Named], level: Level) -> dict[str, object]:
    return {
        "worst": level.word,
        "findings": [
            {
                "check": name,
                "level": finding.level.word,
                "subject": finding.subject,
                "found": finding.found,
                "to_do": finding.to_do or None,
            }
            for name, finding in findings
        ],
    }
