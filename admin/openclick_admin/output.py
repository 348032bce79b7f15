"""Options that subcommands share, and how they print: tables for people, JSON for programs.

Promises: what people see is printable text, whatever a stranger's subject or user agent holds.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console, JustifyMethod
from rich.table import Table

from openclick.logs import printable

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
postfix_config_option = click.option(
    "--postfix-config",
    "directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIRECTORY",
    help="Postfix's configuration directory, where it is not the usual one.",
)


def print_json(value: Any) -> None:
    """Print `value` as JSON, indented."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    empty: str,
    *,
    numbers: Collection[int] = (),
) -> None:
    """Print rows under `columns`, or the sentence `empty` where there are none.

    The columns `numbers`, from 0, stand flush right.
    """
    if not rows:
        click.echo(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        justify: JustifyMethod = "right" if place in numbers else "left"
        table.add_column(column, overflow="fold", justify=justify)
    for row in rows:
        table.add_row(*map(printable, row))
    Console(soft_wrap=False, highlight=False, markup=False).print(table)


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """Print names and values, aligned."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        click.echo(f"{name:<{width}}  {printable(value)}")
