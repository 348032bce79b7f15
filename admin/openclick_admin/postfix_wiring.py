"""Puts the plan of `openclick postfix` together: which services, which lines, which sentences.

Called by the command; pure but for the table of split domains, which it reads.
"""

from __future__ import annotations

from openclick.settings import MilterSettings
from openclick_admin.postconf import Postfix, Service
from openclick_admin.postfix_lists import elements, endpoint
from openclick_admin.postfix_plan import (
    Plan,
    Wishes,
    make_room,
    milter_endpoint,
    propose_settings,
    room_needed,
    submission_services,
    track_sendmail,
    with_milter,
)
from openclick_admin.postfix_split import split, split_domains

ACCEPT = (
    "default_action=accept: while the milter cannot be reached, mail goes out untracked; but a "
    "milter killed inside the replacement of a body loses that message, after Postfix has said 250 "
    "(Postfix 3.7 to 3.11).  --strict writes tempfail instead."
)
TEMPFAIL = (
    "default_action=tempfail: nothing is lost; but while the milter cannot be reached, mail waits, "
    "with a 451 to the client.  Without --strict it is accept: mail then goes out untracked."
)


def plan_for(postfix: Postfix, settings: MilterSettings, wishes: Wishes) -> Plan:
    """Return what is to be changed in `postfix`.  Raises PostfixFault for an unknown service."""
    services = submission_services(postfix, wishes.services)
    plan = Plan(services)
    own = milter_endpoint(settings.socket, postfix.parameters["queue_directory"])
    pickup = [s for s in postfix.services if s.key in ("pickup/unix", "pickup/fifo")]
    domains = list(dict.fromkeys([*split_domains(postfix), *wishes.per_recipient]))
    direct = [] if domains else list(services)
    plan.faults += _unreachable(postfix, own, services)
    room = room_needed(postfix, [*services, *pickup], settings.max_message_bytes)
    if room or domains:
        make_room(postfix, plan, [*direct, *pickup], room)
    if domains:
        split(postfix, plan, services, domains, own)
    for service in direct:
        now = postfix.value(service, "smtpd_milters")
        plan.set_option(service, "smtpd_milters", with_milter(now, own, wishes.default_action))
    track_sendmail(postfix, plan, own, wishes.default_action)
    plan.notes.append(TEMPFAIL if wishes.strict else ACCEPT)
    plan.notes += _warnings(postfix, services, own)
    propose_settings(postfix, plan, settings, room)
    return plan


def _unreachable(postfix: Postfix, own: str, services: tuple[Service, ...]) -> list[str]:
    """Whether a chrooted program could not see the socket; cleanup asks for sendmail(1)'s mail."""
    if not own.startswith("unix:/"):
        return []
    cleanup = postfix.service("cleanup/unix")
    asking = [*services, *([cleanup] if cleanup else [])]
    chrooted = [service.key for service in asking if service.chrooted]
    if not chrooted:
        return []
    queue = postfix.parameters["queue_directory"]
    found = f"milter.socket is {own}, which {', '.join(chrooted)} cannot reach from {queue}"
    needed = f'set socket = "unix:{queue}/openclick/milter.sock" and restart the milter.'
    return [f"{found}: {needed}"]


def _warnings(postfix: Postfix, services: tuple[Service, ...], own: str) -> list[str]:
    notes = []
    if not services:
        notes.append(
            "master.cf has no submission service: only sendmail(1)'s mail is tracked.  Enable one "
            "(submission, port 587) for apps that speak SMTP, or name their listener: --service "
            "smtp/inet."
        )
    if own.startswith("inet:"):
        notes.append("A TCP socket costs 45 to 90 ms a message; a Unix socket does not.")
    everywhere = elements(postfix.parameters.get("smtpd_milters", ""))
    if own in map(endpoint, everywhere):
        notes.append(
            "main.cf's smtpd_milters names OpenClick: mail from the internet passes it too.  It is "
            "not tracked, but take the entry out."
        )
    for service in services:
        if "no_milters" in postfix.value(service, "receive_override_options"):
            notes.append(f"{service.key}: receive_override_options has no_milters: not tracked.")
        if postfix.value(service, "smtpd_milter_maps"):
            notes.append(f"{service.key}: smtpd_milter_maps overrules the milters for its clients.")
    return notes
