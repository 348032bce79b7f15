"""`openclick domain`: sending domains, and the verification of their tracking domains."""

from __future__ import annotations

import uuid
from typing import Any

import click

from openclick.domains import SendingDomain
from openclick.instants import Instant, iso, now
from openclick_admin.context import Admin, pass_admin
from openclick_admin.names import name_parameter
from openclick_admin.output import json_option, print_fields, print_json, print_table


@click.group("domain")
def command() -> None:
    """Sending domains and their tracking domains."""


@command.command("add")
@click.argument("name", callback=name_parameter)
@click.option(
    "--tracking-subdomain",
    "subdomain",
    default="track",
    show_default=True,
    callback=name_parameter,
    help="The tracking domain's prefix: track makes track.NAME.",
)
@click.option("--opens/--no-opens", default=False, help="Track opens unless a header says no.")
@click.option("--clicks/--no-clicks", default=False, help="Track clicks unless a header says no.")
@json_option
@pass_admin
def add(admin: Admin, name: str, subdomain: str, opens: bool, clicks: bool, as_json: bool) -> None:
    """Add the sending domain NAME, the exact host of its From addresses."""
    domain = SendingDomain(f"domain_{uuid.uuid4()}", name, opens, clicks, subdomain, now())
    with admin.registry() as registry:
        if not registry.domains.add(domain):
            raise click.ClickException(
                f"{name} is there already; see: openclick domain show {name}"
            )
    _print(domain, admin.config.sidecar.public_hostname, as_json)


@command.command("show")
@click.argument("name", callback=name_parameter)
@json_option
@pass_admin
def show(admin: Admin, name: str, as_json: bool) -> None:
    """Show one domain: its defaults, its DNS record, and where its verification stands."""
    with admin.registry() as registry:
        domain = _one(registry.domains.maybe_domain(name), name)
    _print(domain, admin.config.sidecar.public_hostname, as_json)


@command.command("list")
@json_option
@pass_admin
def list_domains(admin: Admin, as_json: bool) -> None:
    """List the added domains."""
    with admin.registry() as registry:
        domains = registry.domains.many_domains()
    if as_json:
        print_json([_as_json(domain, admin.config.sidecar.public_hostname) for domain in domains])
        return
    print_table(
        ("DOMAIN", "TRACKING DOMAIN", "OPENS", "CLICKS", "STATUS"),
        [
            (
                domain.name,
                domain.tracking_domain,
                _on(domain.opens_enabled),
                _on(domain.clicks_enabled),
                domain.tracking_status.value,
            )
            for domain in domains
        ],
        "No domain is added yet; add one with: openclick domain add NAME --opens --clicks",
    )


@command.command("verify")
@click.argument("name", callback=name_parameter)
@json_option
@pass_admin
def verify(admin: Admin, name: str, as_json: bool) -> None:
    """Check now whether the tracking domain of NAME points here; exit 1 where it does not."""
    from openclick_sidecar import resolver, verifier  # noqa: PLC0415 - dnspython is slow to load

    with admin.registry() as registry:
        domain = _one(registry.domains.maybe_domain(name), name)
    host = admin.config.sidecar.public_hostname
    try:
        asks = resolver.Resolver(admin.config.dns)
    except resolver.CouldNotAsk as fault:
        raise click.ClickException(f"no name server to ask: {fault}; set dns.nameservers") from None
    result = verifier.verify(domain.tracking_domain, host, asks)
    with admin.registry() as registry:
        if result.failure is None:
            registry.domains.record_verified(name, now())
        else:
            registry.domains.record_failure(
                name, now(), result.failure, keep_state=result.keeps_state
            )
        domain = _one(registry.domains.maybe_domain(name), name)
    _print(domain, host, as_json)
    if not domain.is_verified:
        raise SystemExit(1)


def _one(domain: SendingDomain | None, name: str) -> SendingDomain:
    if domain is None:
        raise click.ClickException(f"{name} is not added; see: openclick domain list")
    return domain


def _print(domain: SendingDomain, public_hostname: str, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(domain, public_hostname))
        return
    target = public_hostname or "(set sidecar.public_hostname first)"
    fields = [
        ("domain", domain.name),
        ("opens by default", _on(domain.opens_enabled)),
        ("clicks by default", _on(domain.clicks_enabled)),
        ("tracking domain", domain.tracking_domain),
        ("DNS record to publish", f"{domain.tracking_domain}. CNAME {target}."),
        ("status", _status(domain)),
        ("last checked", _instant(domain.checked_at)),
    ]
    print_fields(fields)


def _status(domain: SendingDomain) -> str:
    status = domain.tracking_status.value
    if domain.failure is not None:
        return f"{status}: {domain.failure.message} [{domain.failure.code}]"
    if not domain.is_verified and domain.checked_at is None:
        return f"{status}: publish the record, then run: openclick domain verify {domain.name}"
    return status


def _as_json(domain: SendingDomain, public_hostname: str) -> dict[str, Any]:
    return {
        "id": domain.domain_id,
        "name": domain.name,
        "created_at": iso(domain.created_at),
        "tracking": {
            "opens_enabled": domain.opens_enabled,
            "clicks_enabled": domain.clicks_enabled,
            "subdomain": domain.subdomain,
            "domain": domain.tracking_domain,
            "dns_records": [
                {
                    "type": "CNAME",
                    "name": domain.tracking_domain,
                    "value": public_hostname,
                    "purpose": "tracking",
                }
            ],
            "status": domain.tracking_status.value,
            "verified_at": _iso_or_none(domain.verified_at),
            "checked_at": _iso_or_none(domain.checked_at),
            "verification_failure": domain.failure
            and {"code": domain.failure.code, "message": domain.failure.message},
        },
    }


def _on(value: bool) -> str:
    return "on" if value else "off"


def _instant(at: Instant | None) -> str:
    return "never" if at is None else iso(at)


def _iso_or_none(at: Instant | None) -> str | None:
    return None if at is None else iso(at)
