"""The split of a submission into one message a recipient, as `openclick postfix` writes it; pure.

Called by `postfix_wiring` for --per-recipient.  Everything that a submission service takes is
handed to a second listener on loopback, which carries the milters: mail of the named domains by
`oc_split`, one delivery a recipient, all else by `oc_pass`, one delivery a message.  All of it,
because a signer on the first pass would sign what is instrumented on the second, and because the
milter must see each message once.

Limits: the domain is the envelope sender's, and access(5) takes subdomains with it; sendmail(1)'s
mail is not split.
"""

from __future__ import annotations

from pathlib import Path

from openclick_admin.postconf import Postfix, Service
from openclick_admin.postfix_lists import elements, endpoint
from openclick_admin.postfix_plan import CLEANUP, Plan, is_public, with_milter

TABLE = "openclick_split"
"""The table of split domains, in Postfix's configuration directory; texthash, so no postmap."""
DAEMON_NAME = "openclick-inject"
_FIRST_PORT = 10587
_HOP = {
    "smtp_send_xforward_command": "yes",
    "disable_mime_output_conversion": "yes",
    "smtp_tls_security_level": "none",
}
_INJECT = {
    "syslog_name": "postfix/openclick",
    "milter_macro_daemon_name": DAEMON_NAME,
    "content_filter": "",
    "cleanup_service_name": CLEANUP,
    "message_size_limit": "0",
    "smtpd_sasl_auth_enable": "no",
    "smtpd_tls_security_level": "none",
    "smtpd_client_restrictions": "",
    "smtpd_helo_restrictions": "",
    "smtpd_sender_restrictions": "",
    "smtpd_recipient_restrictions": "permit_mynetworks,reject",
    "smtpd_relay_restrictions": "permit_mynetworks,reject",
    "mynetworks": "127.0.0.0/8",
    "smtpd_authorized_xforward_hosts": "127.0.0.0/8",
    "smtpd_authorized_xclient_hosts": "",
    "receive_override_options": (
        "no_address_mappings,no_unknown_recipient_checks,no_header_body_checks"
    ),
}


def split_domains(postfix: Postfix) -> tuple[str, ...]:
    """Return the domains that are split already, so that another run keeps them."""
    table = postfix.config_directory / TABLE
    if inject_listener(postfix) is None or not table.is_file():
        return ()
    lines = table.read_text("utf-8", "replace").splitlines()
    return tuple(line.split()[0] for line in lines if line.strip() and not line.startswith("#"))


def inject_listener(postfix: Postfix) -> Service | None:
    """Return the second listener, if there is one."""
    for service in postfix.services:
        if service.overrides.get("milter_macro_daemon_name") == DAEMON_NAME:
            return service
    return None


def split(
    postfix: Postfix, plan: Plan, services: tuple[Service, ...], domains: list[str], own: str
) -> None:
    """Have these services hand over to a second listener that carries the milters."""
    plan.faults += _faults(postfix, services)
    there = inject_listener(postfix)
    name = there.name if there else f"127.0.0.1:{_free_port(postfix)}"
    next_hop = f"[127.0.0.1]:{name.rpartition(':')[2]}"
    table = postfix.config_directory / TABLE
    plan.files[TABLE] = _table(domains, next_hop)
    plan.set_parameter(postfix, "oc_split_destination_recipient_limit", "1")
    for hop in ("oc_split", "oc_pass"):
        plan.set_service(postfix, f"{hop} unix - - n - 20 smtp", _HOP)
    milters = with_milter(_milters(postfix, services, there), own, "tempfail")
    plan.set_service(postfix, f"{name} inet n - n - - smtpd", {"smtpd_milters": milters, **_INJECT})
    for service in services:
        restrictions = _without(
            elements(postfix.value(service, "smtpd_sender_restrictions")), table
        )
        asked = ["check_sender_access", f"texthash:{table}", *restrictions]
        plan.set_option(service, "smtpd_milters", "")
        plan.set_option(service, "content_filter", f"oc_pass:{next_hop}")
        plan.set_option(service, "smtpd_sender_restrictions", ",".join(asked))
        plan.set_option(service, "smtpd_sasl_authenticated_header", "yes")
    plan.notes.append(
        f"Mail of {', '.join(domains)} (and of subdomains) leaves one message a recipient.  All "
        "submissions pass a second listener, where the milters stand: what one of them refuses "
        "becomes a bounce.  Its default_action is tempfail, which no app sees: Postfix tries again."
    )
    plan.notes.append(
        "smtpd_sasl_authenticated_header writes the login into the Received field, from which "
        "explain and events take it; recipients can read it there."
    )


def _without(restrictions: list[str], table: Path) -> list[str]:
    """Return the restrictions without ours, which an earlier run put in front."""
    ours = restrictions[:2] == ["check_sender_access", f"texthash:{table}"]
    return restrictions[2:] if ours else restrictions


def _faults(postfix: Postfix, services: tuple[Service, ...]) -> list[str]:
    """Whoever feeds the second listener is obeyed: so only those that demand a login may."""
    if not services:
        return ["--per-recipient: there is no submission service to split."]
    return [
        f"--per-recipient: {service.key} takes mail from anybody (no smtpd_sasl_auth_enable=yes, "
        "or port 25), and whatever the second listener gets is obeyed."
        for service in services
        if is_public(service) or postfix.value(service, "smtpd_sasl_auth_enable") != "yes"
    ]


def _free_port(postfix: Postfix) -> int:
    taken = {service.name.rpartition(":")[2] for service in postfix.services}
    port = _FIRST_PORT
    while str(port) in taken:
        port += 1
    return port


def _milters(postfix: Postfix, services: tuple[Service, ...], there: Service | None) -> str:
    """Return all milters that these services had, each once, in their order."""
    lists = [postfix.value(service, "smtpd_milters") for service in services]
    if there is not None:
        lists.insert(0, there.overrides.get("smtpd_milters", ""))
    found = {endpoint(element): element for text in lists for element in elements(text)}
    return ", ".join(found.values())


def _table(domains: list[str], next_hop: str) -> str:
    lines = [f"{domain} FILTER oc_split:{next_hop}" for domain in domains]
    return "\n".join(["# Written by `openclick postfix --per-recipient`.", *lines]) + "\n"
