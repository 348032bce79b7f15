"""`openclick apikey`: who may use the HTTP API, and for what."""

from __future__ import annotations

import os
import uuid
from typing import Any

import click

from openclick.api_keys import SHOWN_CHARS, ApiKey, Permissions, new_api_secret, secret_digest
from openclick.instants import iso, maybe_iso, now
from openclick_admin.context import Admin, pass_admin
from openclick_admin.names import names_parameter
from openclick_admin.output import json_option, print_fields, print_json, print_table

_MAX_NAME_CHARS = 100


@click.group("apikey")
def command() -> None:
    """Keys of the HTTP API."""


@command.command("create")
@click.argument("name")
@click.option("--send-only", is_flag=True, help="For sending and whoami alone.")
@click.option(
    "--domain",
    "domains",
    multiple=True,
    callback=names_parameter,
    help="Only this sending domain, for sending and reading; repeatable.",
)
@json_option
@pass_admin
def create(
    admin: Admin, name: str, send_only: bool, domains: tuple[str, ...], as_json: bool
) -> None:
    """Make a key called NAME.  Its secret is shown this once."""
    if not name.strip() or len(name) > _MAX_NAME_CHARS or not name.isprintable():
        raise click.BadParameter(f"need 1 to {_MAX_NAME_CHARS} printable characters as NAME")
    secret = new_api_secret(os.urandom)
    key = ApiKey(
        key_id=f"key_{uuid.uuid4()}",
        name=name,
        prefix=secret[:SHOWN_CHARS],
        permissions=Permissions.SEND_ONLY if send_only else Permissions.FULL,
        allowed_domains=tuple(dict.fromkeys(domains)),
        created_at=now(),
    )
    with admin.registry() as registry:
        unknown = [d for d in key.allowed_domains if registry.domains.maybe_domain(d) is None]
        if unknown:
            raise click.ClickException(
                f"{unknown[0]} is not added; add it first with: openclick domain add {unknown[0]}"
            )
        registry.api_keys.add(key, secret_digest(secret))
    if as_json:
        print_json(_as_json(key) | {"secret": secret})
    else:
        print_fields([*_fields(key), ("secret", secret)])


@command.command("list")
@json_option
@pass_admin
def list_keys(admin: Admin, as_json: bool) -> None:
    """List the keys, newest first; revoked ones too."""
    with admin.registry() as registry:
        keys = registry.api_keys.many_keys()
    if as_json:
        print_json([_as_json(key) for key in keys])
        return
    print_table(
        ("ID", "NAME", "SECRET", "PERMISSIONS", "DOMAINS", "STATUS"),
        [
            (
                key.key_id,
                key.name,
                f"{key.prefix}...",
                key.permissions.value,
                ", ".join(key.allowed_domains) or "all",
                _status(key),
            )
            for key in keys
        ],
        "No key is made yet; make one with: openclick apikey create NAME",
    )


@command.command("revoke")
@click.argument("key_id")
@pass_admin
def revoke(admin: Admin, key_id: str) -> None:
    """Take the key KEY_ID out of use for ever; the API refuses it within a second."""
    with admin.registry() as registry:
        if not registry.api_keys.revoke(key_id, now()):
            raise click.ClickException(f"{key_id} is no key in use; see: openclick apikey list")
    click.echo(f"{key_id}: revoked")


def _status(key: ApiKey) -> str:
    return "in use" if key.revoked_at is None else f"revoked {iso(key.revoked_at)}"


def _fields(key: ApiKey) -> list[tuple[str, str]]:
    return [
        ("key", key.key_id),
        ("name", key.name),
        ("permissions", key.permissions.value),
        ("domains", ", ".join(key.allowed_domains) or "all"),
    ]


def _as_json(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.key_id,
        "name": key.name,
        "prefix": key.prefix,
        "permissions": key.permissions.value,
        "allowed_domains": list(key.allowed_domains),
        "created_at": iso(key.created_at),
        "revoked_at": maybe_iso(key.revoked_at),
    }
