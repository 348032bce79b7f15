"""`openclick certificate`: the certificates of the tracking domains, and where ACME stands."""

from __future__ import annotations

import click

from openclick.instants import now
from openclick.tracking_certificates import TrackingCertificate
from openclick_admin.certificate_output import certificate_as_json, instant, last_error, origin
from openclick_admin.context import Admin, pass_admin
from openclick_admin.names import name_parameter
from openclick_admin.output import json_option, print_fields, print_json, print_table


@click.group("certificate")
def command() -> None:
    """Certificates of tracking domains: what is served, and where ACME stands."""


@command.command("list")
@json_option
@pass_admin
def list_certificates(admin: Admin, as_json: bool) -> None:
    """List the certificates of all tracking domains, as the sidecar last saw them."""
    with admin.registry() as registry:
        found = registry.certificates.many_certificates()
    if as_json:
        print_json([certificate_as_json(each) for each in found])
        return
    print_table(
        ("TRACKING DOMAIN", "HTTPS", "CERTIFICATE", "EXPIRES", "FROM", "LAST ERROR"),
        [
            (
                each.name,
                "yes" if each.serves_https else "no",
                each.status(now()).value,
                instant(each.not_after_at),
                origin(each) or "-",
                each.failure_code or "-",
            )
            for each in found
        ],
        "The sidecar has seen no tracking domain yet; see: openclick domain list",
    )


@command.command("show")
@click.argument("name", metavar="TRACKING_DOMAIN", callback=name_parameter)
@json_option
@pass_admin
def show(admin: Admin, name: str, as_json: bool) -> None:
    """Show one certificate, what is wrong with it, and the last order by ACME."""
    with admin.registry() as registry:
        found = _one(registry.certificates.many_certificates(), name)
    if as_json:
        print_json(certificate_as_json(found))
        return
    print_fields(
        [
            ("tracking domain", found.name),
            ("https", "served" if found.serves_https else "not served"),
            ("certificate", found.status(now()).value),
            ("valid from", instant(found.not_before_at)),
            ("expires", instant(found.not_after_at)),
            ("comes from", origin(found) or "-"),
            ("fault of the file", found.file_fault or "none"),
            ("last order by ACME", instant(found.attempted_at)),
            ("its fault", last_error(found)),
            ("orders failed in a row", str(found.failures)),
            ("no order before", instant(found.next_attempt_at)),
        ]
    )


@command.command("renew")
@click.argument("name", metavar="TRACKING_DOMAIN", callback=name_parameter)
@pass_admin
def renew(admin: Admin, name: str) -> None:
    """Let ACME try again now, without waiting for what failed before.

    A certificate that is not due yet stays; to have it replaced all the same, remove its file and
    restart the sidecar.
    """
    with admin.registry() as registry:
        if not registry.certificates.order_now(name):
            raise click.ClickException(_unknown(name))
    click.echo(
        f"{name}: tried within seconds, if it is due; see: openclick certificate show {name}"
    )


def _one(found: list[TrackingCertificate], name: str) -> TrackingCertificate:
    for each in found:
        if each.name == name:
            return each
    raise click.ClickException(_unknown(name))


def _unknown(name: str) -> str:
    return f"the sidecar has seen no tracking domain {name}; see: openclick certificate list"
