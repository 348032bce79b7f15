"""`openclick config`: checks openclick.toml, and prints a sample of it."""

from __future__ import annotations

import click

from openclick.config import load_config, sample_config
from openclick_admin.context import Admin, pass_admin


@click.group("config")
def command() -> None:
    """Check openclick.toml, or print a sample."""


@command.command("check")
@pass_admin
def check(admin: Admin) -> None:
    """Check the settings and the files that they name; exit 78 and name each fault."""
    from openclick_sidecar.main import check_files  # noqa: PLC0415 - init and sample need none

    check_files(load_config(admin.config_path))
    click.echo(f"{admin.config_path}: no fault found")


@command.command("sample")
def sample() -> None:
    """Print a file with every option, its sentence and its default."""
    click.echo(sample_config(), nl=False)
