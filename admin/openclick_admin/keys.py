"""`openclick keys`: the keys that seal tracking links."""

from __future__ import annotations

import click

from openclick.keys import KeyFault, find_keys, rotate_keys
from openclick_admin.context import Admin, pass_admin


@click.group("keys")
def command() -> None:
    """The keys that seal tracking links."""


@command.command("rotate")
@pass_admin
def rotate(admin: Admin) -> None:
    """Add a key, which seals from now on; the old ones open for ever."""
    path = rotate_keys(admin.config.keys.directory)
    click.echo(f"{path}: made; send openclick-milter SIGHUP to seal with it, and back it up")


@command.command("list")
@pass_admin
def list_keys(admin: Admin) -> None:
    """Name the keys; the last one seals.  Fails where a file is at fault."""
    found = find_keys(admin.config.keys.directory)
    for key_id in found.ring.key_ids:
        seals = key_id == found.ring.sealing_id and not found.sealing_fault
        click.echo(f"{key_id:03d}  {'seals and opens' if seals else 'opens'}")
    if found.faults:
        raise KeyFault("; ".join(found.faults))
