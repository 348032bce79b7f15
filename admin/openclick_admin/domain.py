"""`openclick domain`: sending domains, and the verification of their tracking domains."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from openclick.domain_requests import (
    DEFAULT_SUBDOMAIN,
    DomainChanges,
    DomainError,
    create_domain,
    find_domain,
    remove_domain,
    update_domain,
)
from openclick.domains import Scheme, SendingDomain, VerificationFailure, VerificationMode
from openclick.instants import now
from openclick.store import Registry
from openclick_admin.context import Admin, pass_admin
from openclick_admin.domain_output import as_json as domain_as_json
from openclick_admin.domain_output import (
    not_verified,
    print_domain,
    print_domains,
    print_names,
    print_records,
    print_verified,
)
from openclick_admin.names import name_parameter
from openclick_admin.output import json_option, print_json

EX_INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

_HELP_WITH = {
    "domain_exists": "see: openclick domain show {name}, or: openclick domain verify --wait {name}",
    "domain_not_found": "see: openclick domain list",
}


@click.group("domain")
def command() -> None:
    """Sending domains and their tracking domains."""


def _changing(function: Callable[..., None]) -> Callable[..., None]:
    """Give a subcommand the options that say how a domain is to be."""
    options = (
        click.option("--opens/--no-opens", default=None, help="Track opens, unless a header asks."),
        click.option("--clicks/--no-clicks", default=None, help="Track clicks likewise."),
        click.option(
            "--scheme",
            type=click.Choice([scheme.value for scheme in Scheme]),
            help="Of its links: auto for https as soon as it can be served.",
        ),
        click.option(
            "--verification",
            type=click.Choice([mode.value for mode in VerificationMode]),
            help="dns where this machine cannot reach itself by its public address.",
        ),
    )
    return functools.reduce(lambda inner, option: option(inner), reversed(options), function)


def _waiting(function: Callable[..., None]) -> Callable[..., None]:
    """Give a subcommand the options of waiting for a verification."""
    wait = click.option("--wait", is_flag=True, help="Check again until it is verified.")
    timeout = click.option(
        "--timeout",
        "timeout_seconds",
        type=click.FloatRange(min=0),
        default=3600.0,
        show_default=True,
        help="How many seconds --wait goes on.",
    )
    return wait(timeout(function))


@command.command("add")
@click.argument("name", callback=name_parameter)
@click.option(
    "--tracking-subdomain",
    "subdomain",
    default=DEFAULT_SUBDOMAIN,
    show_default=True,
    help="The tracking domain's prefix: track makes track.NAME.",
)
@_changing
@_waiting
@json_option
@pass_admin
def add(
    admin: Admin, /, name: str, wait: bool, timeout_seconds: float, as_json: bool, **options: Any
) -> None:
    """Add the sending domain NAME, the exact host of its From addresses.

    It prints the DNS record to publish.  The sidecar looks for it by itself; --wait shows when it
    has found it, and exits with 1 where it did not.
    """
    with admin.registry() as registry:
        domain = _asked(
            name, lambda: create_domain(registry.domains, name, _changes(**options), now())
        )
        if not (wait and as_json):
            _print(admin, registry, domain, as_json)
    if not wait:
        return
    click.echo()
    failure = _checked(admin, domain, timeout_seconds)
    if as_json:
        _print_anew(admin, name, as_json)
    elif failure is None:
        print_verified(domain)
    if failure is not None:
        click.echo(f"openclick: {not_verified(domain, failure)}", err=True)
        raise SystemExit(1)


@command.command("show")
@click.argument("name", callback=name_parameter)
@json_option
@pass_admin
def show(admin: Admin, name: str, as_json: bool) -> None:
    """Show one domain: its defaults, its DNS record, its certificate, and how checks went."""
    with admin.registry() as registry:
        domain = _asked(name, lambda: find_domain(registry.domains, name))
        _print(admin, registry, domain, as_json)


@command.command("list")
@json_option
@pass_admin
def list_domains(admin: Admin, as_json: bool) -> None:
    """List the added domains."""
    with admin.registry() as registry:
        domains = registry.domains.many_domains()
        certificates = {each.name: each for each in registry.certificates.many_certificates()}
    if as_json:
        print_json(
            [
                domain_as_json(domain, admin.named_config, certificates.get(domain.tracking_domain))
                for domain in domains
            ]
        )
        return
    print_domains(domains, admin.config)


@command.command("names")
@json_option
@pass_admin
def names(admin: Admin, as_json: bool) -> None:
    """List every name that links were sent with, and whether it points here."""
    with admin.registry() as registry:
        print_names(registry.domains.tracking_names(), as_json=as_json)


@command.command("update")
@click.argument("name", callback=name_parameter)
@click.option("--tracking-subdomain", "subdomain", help='Another prefix; "" for none.')
@_changing
@json_option
@pass_admin
def update(admin: Admin, /, name: str, as_json: bool, **options: Any) -> None:
    """Change the domain NAME; what is not named stays.

    With another subdomain its mail is not tracked until that one is verified.  Links that were sent
    go on working as long as the old name points here.
    """
    changes = _changes(**options)
    if changes == DomainChanges():
        raise click.UsageError("nothing to change; see: openclick domain update --help")
    with admin.registry() as registry:
        domain = _asked(name, lambda: update_domain(registry.domains, name, changes, now()))
        _print(admin, registry, domain, as_json)


@command.command("remove")
@click.argument("name", callback=name_parameter)
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_admin
def remove(admin: Admin, name: str, yes: bool) -> None:
    """Remove the domain NAME: its mail is tracked no more.

    Links that were sent go on working as long as their name points here.
    """
    with admin.registry() as registry:
        domain = _asked(name, lambda: find_domain(registry.domains, name))
        if not yes:
            click.confirm(f"Remove {name}? Its mail will not be tracked", abort=True)
        _asked(name, lambda: remove_domain(registry.domains, domain.domain_id))
    click.echo(f"{name} is removed")
    if domain.tracking_domain:
        click.echo(
            f"Keep the DNS record of {domain.tracking_domain} as long as links that were sent are "
            "to work"
        )


@command.command("verify")
@click.argument("name", callback=name_parameter)
@_waiting
@json_option
@pass_admin
def verify(admin: Admin, name: str, wait: bool, timeout_seconds: float, as_json: bool) -> None:
    """Check now whether the tracking domain of NAME leads here; exit 1 where it does not."""
    with admin.registry() as registry:
        domain = _asked(name, lambda: find_domain(registry.domains, name))
    failure = _checked(admin, domain, timeout_seconds if wait else 0.0)
    domain = _print_anew(admin, name, as_json)
    if failure is not None or not domain.is_verified:
        raise SystemExit(1)


def _checked(admin: Admin, domain: SendingDomain, seconds: float) -> VerificationFailure | None:
    """Check a domain, for `seconds` at most; whoever ends that learns that nothing is lost."""
    from openclick_admin import domain_verify  # noqa: PLC0415 - dnspython is slow to load

    try:
        return domain_verify.check(admin, domain, seconds)
    except KeyboardInterrupt:
        text = f"the sidecar goes on checking by itself; see: openclick domain show {domain.name}"
        click.echo(f"openclick: {text}", err=True)
        raise SystemExit(EX_INTERRUPTED) from None


def _print_anew(admin: Admin, name: str, as_json: bool) -> SendingDomain:
    with admin.registry() as registry:
        domain = _asked(name, lambda: find_domain(registry.domains, name))
        _print(admin, registry, domain, as_json)
        return domain


def _changes(
    *,
    subdomain: str | None,
    opens: bool | None,
    clicks: bool | None,
    scheme: str | None,
    verification: str | None,
) -> DomainChanges:
    return DomainChanges(
        opens_enabled=opens,
        clicks_enabled=clicks,
        subdomain=subdomain,
        scheme=None if scheme is None else Scheme(scheme),
        verification=None if verification is None else VerificationMode(verification),
    )


def _asked(name: str, request: Callable[[], SendingDomain]) -> SendingDomain:
    """Return what a request gives, its refusal in click's words."""
    try:
        return request()
    except DomainError as error:
        advice = _HELP_WITH.get(error.code)
        text = f"{error}; {advice.format(name=name)}" if advice else str(error)
        raise click.ClickException(text) from error


def _print(admin: Admin, registry: Registry, domain: SendingDomain, as_json: bool) -> None:
    seen = registry.certificates.many_certificates()
    certificate = next((each for each in seen if each.name == domain.tracking_domain), None)
    if as_json:
        print_json(domain_as_json(domain, admin.named_config, certificate))
        return
    old = [
        name
        for name in registry.domains.tracking_names()
        if name.sending_domain == domain.name and name.name != domain.tracking_domain
    ]
    print_domain(domain, certificate, old, admin.config)
    print_records(domain, admin.public_name, admin.config_path)
