"""Domain names on the command line: read as everywhere else, refused in click's words."""

from __future__ import annotations

import click

from openclick.names import BadName, domain_name


def name_parameter(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """Return `value` as A-labels in lower case; a callback of click."""
    try:
        return domain_name(value)
    except BadName as error:
        raise click.BadParameter(f"{value!r}: {error}") from error


def names_parameter(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Return every name of a repeatable option likewise."""
    return tuple(name_parameter(ctx, param, value) for value in values)
