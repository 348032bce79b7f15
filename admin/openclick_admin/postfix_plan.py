"""What `openclick postfix` changes in a Postfix, and what it says about it; pure.

Called by the command `openclick postfix` with what postconf told and the settings.  The rules:

- the milter stands on submission services and sendmail(1) only, never in main.cf's smtpd_milters,
  where every mail from the internet would pass it;
- it stands first in the list, because a DKIM signature must cover what is sent, and whether an
  unknown milter signs cannot be seen;
- its default action is written out, because Postfix's own differs between versions;
- cleanup gets room for what tracking adds, because growth past the limit is a permanent 552;
- the socket's path is relative to the queue directory, which a chrooted smtpd reaches too.

Limits: services are recognised by name, port or smtpd_sasl_auth_enable of their own; others are
named with --service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openclick.settings import MilterSettings
from openclick_admin.postconf import Postfix, PostfixFault, Service
from openclick_admin.postfix_lists import (
    contains,
    elements,
    endpoint,
    is_this_machine,
    networks,
    packed,
)

CLEANUP = "oc_cleanup"
_PORTS = {"submission", "submissions", "smtps", "587", "465"}
_PUBLIC_PORTS = {"smtp", "25"}


@dataclass(frozen=True)
class Wishes:
    """The options of the command: `services` are keys such as smtp/inet."""

    strict: bool = False
    services: tuple[str, ...] = ()
    per_recipient: tuple[str, ...] = ()

    @property
    def default_action(self) -> str:
        """What Postfix does while the milter cannot be reached."""
        return "tempfail" if self.strict else "accept"


@dataclass(frozen=True)
class Change:
    """One call of postconf: `option` is -e, -P or -M."""

    option: str
    argument: str


@dataclass
class Plan:
    """What is to be done, and said.

    `changes` are calls of postconf in order; `files` are further files of Postfix's configuration
    directory, name to text; `settings` are lines proposed for the section [milter] of
    openclick.toml; `faults` are reasons for which the plan must not be applied.
    """

    services: tuple[Service, ...] = ()
    changes: list[Change] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def set_parameter(self, postfix: Postfix, name: str, value: str) -> None:
        """Set a parameter of main.cf, unless it is so already."""
        if packed(postfix.parameters.get(name, "")) != packed(value):
            self.changes.append(Change("-e", f"{name}={value}"))

    def set_option(self, service: Service, name: str, value: str) -> None:
        """Set an option of a service in master.cf, unless it is so already."""
        if name not in service.overrides or packed(service.overrides[name]) != packed(value):
            self.changes.append(Change("-P", f"{service.key}/{name}={packed(value)}"))

    def set_service(self, postfix: Postfix, head: str, options: Mapping[str, str]) -> None:
        """Add an entry to master.cf, or set it anew where it differs."""
        name, kind = head.split()[:2]
        there = postfix.service(f"{name}/{kind}")
        wanted = {option: packed(value) for option, value in options.items()}
        if there is None or {k: packed(v) for k, v in there.overrides.items()} != wanted:
            entry = " ".join([head, *(_option(k, v) for k, v in options.items())])
            self.changes.append(Change("-M", f"{name}/{kind}={entry}"))


def _option(name: str, value: str) -> str:
    return f"-o {{ {name} = {value} }}" if " " in value else f"-o {name}={value}"


def submission_services(postfix: Postfix, wanted: Sequence[str]) -> tuple[Service, ...]:
    """Return the services that apps submit to; `wanted` keys replace what is recognised.

    Raises PostfixFault where a wanted one is not there.
    """
    listeners = [s for s in postfix.services if s.program == "smtpd" and s.type in ("inet", "unix")]
    if not wanted:
        return tuple(service for service in listeners if _is_submission(service))
    by_key = {service.key: service for service in listeners}
    for key in wanted:
        if key not in by_key:
            there = ", ".join(by_key) or "none"
            raise PostfixFault(f"--service {key}: no smtpd of master.cf; there are: {there}")
    return tuple(by_key[key] for key in wanted)


def is_public(service: Service) -> bool:
    """Tell whether a service is where mail from the internet comes in."""
    return service.name.rpartition(":")[2] in _PUBLIC_PORTS


def _is_submission(service: Service) -> bool:
    port = service.name.rpartition(":")[2]
    if service.overrides.get("milter_macro_daemon_name") == "openclick-inject":
        return False
    own_login = service.overrides.get("smtpd_sasl_auth_enable") == "yes"
    return port in _PORTS or (own_login and not is_public(service))


def milter_endpoint(socket: str, queue_directory: str) -> str:
    """Write milter.socket as Postfix names it, relative to the queue directory where it can be."""
    kind, _, rest = socket.partition(":")
    if kind != "unix":
        port, _, host = rest.partition("@")
        return f"inet:{host if kind == 'inet' else f'[{host}]'}:{port}"
    path = Path(rest)
    if path.is_relative_to(queue_directory):
        return f"unix:{path.relative_to(queue_directory)}"
    return f"unix:{path}"


def with_milter(list_text: str, own: str, default_action: str) -> str:
    """Return a list of milters with ours in front, wherever it stood before."""
    others = [element for element in elements(list_text) if endpoint(element) != own]
    return ", ".join([f"{{ {own}, default_action={default_action} }}", *others])


def room_needed(postfix: Postfix, services: Sequence[Service], most: int) -> int:
    """Return how large cleanup must let a message grow, 0 where Postfix sets no bound.

    Twice what is announced and a megabyte, and no less than milter.max_message_bytes (`most`).
    """
    limits = [_size_limit(postfix, service) for service in services]
    return 0 if 0 in limits else max(2 * max(limits, default=0) + 1_000_000, most)


def make_room(postfix: Postfix, plan: Plan, services: Sequence[Service], room: int) -> None:
    """Give these services a cleanup with so much room.

    smtpd goes on refusing by its own limit (smtpd and cleanup each read a message_size_limit of
    their own, measured on 3.7 and 3.10).
    """
    stock = postfix.service("cleanup/unix")
    options = dict(stock.overrides) if stock else {}
    chroot = "y" if stock and stock.chrooted else "n"
    head = f"{CLEANUP} unix n - {chroot} - 0 cleanup"
    plan.set_service(postfix, head, options | {"message_size_limit": str(room)})
    for service in services:
        name = postfix.value(service, "cleanup_service_name") or "cleanup"
        if name in ("cleanup", CLEANUP):
            plan.set_option(service, "cleanup_service_name", CLEANUP)
        else:
            _widen(postfix, plan, name, room)


def _size_limit(postfix: Postfix, service: Service) -> int:
    text = postfix.value(service, "message_size_limit")
    if not text.isdigit():
        raise PostfixFault(f"{service.key}: message_size_limit={text}: need a number of bytes")
    return int(text)


def _widen(postfix: Postfix, plan: Plan, name: str, room: int) -> None:
    """Give a cleanup that the admin has made for a service the room."""
    there = postfix.service(f"{name}/unix")
    if there is None:
        plan.notes.append(f"cleanup_service_name={name}: no such service in master.cf.")
    elif 0 < _size_limit(postfix, there) < room:
        plan.set_option(there, "message_size_limit", str(room))


def track_sendmail(postfix: Postfix, plan: Plan, own: str, action: str) -> None:
    """Put the milter before what passes no smtpd: mail of sendmail(1)."""
    now = postfix.parameters.get("non_smtpd_milters", "")
    plan.set_parameter(postfix, "non_smtpd_milters", with_milter(now, own, action))


def propose_settings(
    postfix: Postfix, plan: Plan, settings: MilterSettings, room_bytes: int
) -> None:
    """Propose what openclick.toml should say beside what Postfix says."""
    literal, others = networks(postfix.parameters.get("mynetworks", ""))
    known = settings.trusted_networks
    missing = [
        str(network)
        for network in literal
        if not is_this_machine(network) and not any(contains(trusted, network) for trusted in known)
    ]
    if missing:
        wanted = ", ".join(f'"{name}"' for name in [*map(str, known), *missing])
        plan.settings.append(f"trusted_networks = [{wanted}]")
        plan.notes.append(
            f"Postfix relays for mynetworks without a login: {' '.join(missing)}.  Where these are "
            "your app servers, take trusted_networks over, else their mail is not tracked."
        )
    if others:
        plan.notes.append(f"mynetworks also holds {' '.join(others)}, which is not read here.")
    if room_bytes and settings.max_message_bytes < room_bytes:
        plan.settings.append(f"max_message_bytes = {room_bytes}")
        plan.notes.append(
            f"{CLEANUP} has room for {room_bytes:,} bytes; until max_message_bytes says so too, a "
            f"message that would grow past {settings.max_message_bytes:,} goes out untouched."
        )
