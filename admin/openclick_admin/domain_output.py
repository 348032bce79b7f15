"""How domains, their records and their names are printed; called by `domain`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from openclick.dns_records import DnsRecord, tracking_records
from openclick.domains import SendingDomain, TrackingName, TrackingStatus, VerificationFailure
from openclick.instants import Instant, iso, maybe_iso, now
from openclick.public_name import PublicName
from openclick.settings import Config
from openclick.tracking_certificates import TrackingCertificate
from openclick_admin.certificate_output import certificate_as_json, in_short
from openclick_admin.output import print_fields, print_json, print_table


def print_domain(
    domain: SendingDomain,
    certificate: TrackingCertificate | None,
    old: Sequence[TrackingName],
    config: Config,
) -> None:
    """Print one domain; `old` are its names of before."""
    print_fields(
        [
            ("domain", domain.name),
            ("opens by default", _on(domain.opens_enabled)),
            ("clicks by default", _on(domain.clicks_enabled)),
            ("tracking domain", domain.tracking_domain or "none"),
            ("links of new mail", domain.link_scheme(config.links.scheme)),
            ("verification", domain.verification.value),
            ("status", _status(domain)),
            ("last checked", _instant(domain.checked_at)),
            *in_short(certificate, now()),
            *(("former name", f"{name.name}: {_pointing(name)}") for name in old),
        ]
    )


def print_domains(domains: Sequence[SendingDomain], config: Config) -> None:
    """Print a table of domains."""
    print_table(
        ("DOMAIN", "TRACKING DOMAIN", "LINKS", "OPENS", "CLICKS", "STATUS"),
        [
            (
                domain.name,
                domain.tracking_domain,
                domain.link_scheme(config.links.scheme),
                _on(domain.opens_enabled),
                _on(domain.clicks_enabled),
                _short_status(domain),
            )
            for domain in domains
        ],
        "No domain is added yet; add one with: openclick domain add NAME --opens --clicks",
    )


def print_names(names: Sequence[TrackingName], *, as_json: bool) -> None:
    """Print every name that links were sent with."""
    if as_json:
        print_json([_name_as_json(name) for name in names])
        return
    print_table(
        ("NAME", "STATE", "SENDING DOMAIN", "DNS", "LAST CHECKED"),
        [
            (
                name.name,
                name.state.value,
                name.sending_domain,
                _pointing(name),
                _instant(name.checked_at),
            )
            for name in names
        ],
        "No domain has had a tracking domain yet",
    )


def as_json(
    domain: SendingDomain, config: Config, certificate: TrackingCertificate | None
) -> dict[str, Any]:
    """Return a domain as programs see it: Anypost's shape, and what is ours beside it."""
    return {
        "id": domain.domain_id,
        "name": domain.name,
        "created_at": iso(domain.created_at),
        "tracking": {
            "opens_enabled": domain.opens_enabled,
            "clicks_enabled": domain.clicks_enabled,
            "subdomain": domain.subdomain or None,
            "domain": domain.tracking_domain or None,
            "scheme": domain.scheme.value,
            "link_scheme": domain.link_scheme(config.links.scheme),
            "verification": domain.verification.value,
            "dns_records": [
                {
                    "type": record.record_type,
                    "name": record.name,
                    "value": record.value,
                    "purpose": "tracking",
                }
                for record in tracking_records(domain, config.sidecar.public_hostname)
            ],
            "status": domain.tracking_status.value,
            "verified_at": maybe_iso(domain.verified_at),
            "checked_at": maybe_iso(domain.checked_at),
            "verification_failure": domain.failure
            and {"code": domain.failure.code, "message": domain.failure.message},
            "certificate": certificate and certificate_as_json(certificate),
        },
    }


def print_records(domain: SendingDomain, public_name: PublicName, config_path: str) -> None:
    """Print the record that a domain needs, or why none can be named and what is to be set."""
    if not public_name.name:
        click.echo(
            f"\nNo DNS record can be named yet: {public_name.fault}.\n"
            f"Set it in {config_path} to the name under which the internet finds this machine:\n\n"
            '  [sidecar]\n  public_hostname = "mail.example.com"\n\n'
            "and then run: systemctl restart openclick-sidecar"
        )
        return
    for record in tracking_records(domain, public_name.name):
        click.echo(
            f"\nThe DNS record to publish, as a line of a zone file:\n\n  {record.zone_line}\n\n"
            f"or in a provider's form:\n\n{_form(record, domain.name)}"
        )


def print_verified(domain: SendingDomain) -> None:
    """Print that the domain's mail may be tracked now."""
    click.echo(
        f"Verified: {domain.tracking_domain} leads here.\n"
        f"{_whose_mail(domain)} is tracked from now on, as soon as Postfix hands it to the milter "
        "(openclick postfix)."
    )


def _whose_mail(domain: SendingDomain) -> str:
    if domain.tracking_status is TrackingStatus.DISABLED:
        return f"Mail of {domain.name} that asks for it by a header"
    return f"Mail of {domain.name}"


def not_verified(domain: SendingDomain, failure: VerificationFailure) -> str:
    """Return in one line why a domain is not verified, and how it goes on."""
    return (
        f"not verified: {failure.message} [{failure.code}]; {domain.name} is added, and the "
        f"sidecar goes on checking; see: openclick domain show {domain.name}"
    )


def _form(record: DnsRecord, sending_domain: str) -> str:
    names = record.relative_names(sending_domain)
    (zone, name), *others = names
    text = f"  Type    {record.record_type}\n  Name    {name}\n  Target  {record.value}\n"
    if others:
        text = text.replace(f"{name}\n", f"{name}  (in the zone {zone})\n", 1)
        for other_zone, other in others:
            text += f"  In the zone {other_zone} the name is {other}\n"
    return text.rstrip("\n")


def _status(domain: SendingDomain) -> str:
    status = domain.tracking_status.value
    if domain.failure is not None:
        return f"{status}: {domain.failure.message} [{domain.failure.code}]"
    if domain.tracking_domain and not domain.is_verified and domain.checked_at is None:
        return f"{status}: publish the record below, and the sidecar will find it"
    return status


def _short_status(domain: SendingDomain) -> str:
    status = domain.tracking_status.value
    return f"{status} [{domain.failure.code}]" if domain.failure else status


def _pointing(name: TrackingName) -> str:
    if name.checked_at is None:
        return "not looked up yet"
    return "points here" if name.points_here else "does not point here"


def _name_as_json(name: TrackingName) -> dict[str, Any]:
    return {
        "name": name.name,
        "state": name.state.value,
        "sending_domain": name.sending_domain,
        "added_at": iso(name.added_at),
        "points_here": name.points_here,
        "checked_at": maybe_iso(name.checked_at),
        "pointed_here_at": maybe_iso(name.pointed_here_at),
    }


def _on(value: bool) -> str:
    return "on" if value else "off"


def _instant(at: Instant | None) -> str:
    return "never" if at is None else iso(at)
