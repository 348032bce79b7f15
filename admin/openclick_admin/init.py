"""`openclick init`: makes what both daemons need, with the rights that DESIGN 5 asks for.

    store directory   2770, of the group: what is made in it belongs to the group too
    journal directory 2770, likewise
    openclick.db      0660
    key directory     0750, of the group; the first key 0640
    certificates      2770, of the group; the directory of certbot's challenges 2750

messages.db and hits.db are made by the daemons that own them.  Safe to call again: what is there
stays as it is, but its rights are set anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from openclick.keys import load_keys, rotate_keys
from openclick_admin.context import Admin, pass_admin
from openclick_sidecar.certificate_shelf import certificates_directory
from openclick_sidecar.challenges import webroot_directory
from openclick_sidecar.keeper import journal_directory

EX_NOPERM = 77


@click.command("init")
@click.option(
    "--group",
    "group_id",
    default="openclick",
    show_default=True,
    metavar="NAME|GID",
    help="The group of both daemons' users.",
    callback=lambda _ctx, _param, value: _group_id(value),
)
@pass_admin
def command(admin: Admin, group_id: int) -> None:
    """Make the store, its directory and the first key."""
    store, keys = admin.store.directory, Path(admin.config.keys.directory)
    journal = journal_directory(admin.store, admin.config.store.journal_directory)
    certificates = certificates_directory(admin.store, admin.config.tls.certificates_directory)
    webroot = webroot_directory(admin.store, admin.config.tls.acme_webroot)
    try:
        _make_directory(store, group_id, 0o2770)
        _make_directory(keys, group_id, 0o750)
        _make_directory(journal, group_id, 0o2770)
        _make_directory(certificates, group_id, 0o2770)
        _make_directory(webroot, group_id, 0o2750)
        with admin.registry():
            for path in store.glob("openclick.db*"):
                _set_rights(path, group_id, 0o660)
        if not any(keys.glob("*.key")):
            rotate_keys(str(keys))
        for path in keys.glob("*.key"):
            _set_rights(path, group_id, 0o640)
    except OSError as error:
        click.echo(f"openclick: {error.filename}: {error.strerror}; run this as root", err=True)
        raise SystemExit(EX_NOPERM) from error
    click.echo(f"store: {store}")
    click.echo(f"keys:  {keys} ({len(load_keys(str(keys)).key_ids)}); back them up")


def _group_id(value: str) -> int:
    if value.isdigit():
        return int(value)
    import grp  # noqa: PLC0415 - not needed for a number

    try:
        return grp.getgrnam(value).gr_gid
    except KeyError:
        raise click.BadParameter(
            f"there is no group {value!r}; make it, or name another with --group"
        ) from None


def _make_directory(path: Path, group_id: int, mode: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    _set_rights(path, group_id, mode)


def _set_rights(path: Path, group_id: int, mode: int) -> None:
    os.chown(path, -1, group_id)  # first: it clears the set-group-id bit
    os.chmod(path, mode)
