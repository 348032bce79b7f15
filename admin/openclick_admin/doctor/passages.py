"""The ways by which Postfix hands mail to our milter, read from its configuration; pure.

Called by the judge modules and by `gather_postfix`, which has to know how Postfix names the socket.
A passage is one smtpd of master.cf, or sendmail(1), whose list of milters names ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openclick_admin.postconf import Postfix, Service
from openclick_admin.postfix_lists import elements, endpoint, packed
from openclick_admin.postfix_plan import milter_endpoint

SENDMAIL = "sendmail(1)"
_LISTENERS = ("inet", "unix")


@dataclass(frozen=True)
class Passage:
    """One way of mail through the milter.

    `milters` is the whole list, ours at `place`; `action` is what happens while ours cannot be
    reached.  `announced_bytes` is what is refused on the way in, `cleanup_bytes` what a message may
    grow to; 0 for no bound.
    """

    where: str
    milters: tuple[str, ...]
    place: int
    action: str
    chrooted: bool
    announced_bytes: int
    cleanup_bytes: int

    @property
    def named(self) -> str:
        """How Postfix names our socket here."""
        return endpoint(self.milters[self.place])


def passages(postfix: Postfix, socket: str) -> list[Passage]:
    """Return every passage; `socket` is milter.socket."""
    found = [_passage(postfix, service, socket) for service in smtpd_services(postfix)]
    return [passage for passage in (*found, _by_sendmail(postfix, socket)) if passage is not None]


def smtpd_services(postfix: Postfix) -> Iterator[Service]:
    """Yield the services of master.cf that speak SMTP to clients."""
    for service in postfix.services:
        if service.program == "smtpd" and service.type in _LISTENERS:
            yield service


def strangers(postfix: Postfix, socket: str) -> list[tuple[str, str]]:
    """Return (where, endpoint) of milters that are called like ours and are not ours."""
    lists = [(each.key, postfix.value(each, "smtpd_milters")) for each in smtpd_services(postfix)]
    lists.append((SENDMAIL, postfix.parameters.get("non_smtpd_milters", "")))
    return [
        (where, named)
        for where, text in lists
        for named in map(endpoint, elements(text))
        if "openclick" in named and not is_ours(postfix, named, socket)
    ]


def is_ours(postfix: Postfix, named: str, socket: str) -> bool:
    """Tell whether an endpoint of Postfix is milter.socket, its path relative or whole."""
    own = milter_endpoint(socket, postfix.parameters.get("queue_directory", ""))
    return named in (own, socket) or (own.startswith("unix:/") and _same_file(named, own))


def _same_file(named: str, own: str) -> bool:
    return named.startswith("unix:/") and Path(named[5:]) == Path(own[5:])


def _passage(postfix: Postfix, service: Service, socket: str) -> Passage | None:
    milters = elements(postfix.value(service, "smtpd_milters"))
    place = _place(postfix, milters, socket)
    if place is None:
        return None
    cleanup = postfix.service(f"{postfix.value(service, 'cleanup_service_name') or 'cleanup'}/unix")
    return Passage(
        service.key,
        tuple(milters),
        place,
        _action(milters[place], postfix.value(service, "milter_default_action")),
        service.chrooted,
        _limit(postfix, service),
        _limit(postfix, cleanup),
    )


def _by_sendmail(postfix: Postfix, socket: str) -> Passage | None:
    """Return sendmail(1)'s passage: pickup hands its mail to a cleanup, which asks the milters."""
    milters = elements(postfix.parameters.get("non_smtpd_milters", ""))
    place = _place(postfix, milters, socket)
    if place is None:
        return None
    pickup = postfix.service("pickup/unix") or postfix.service("pickup/fifo")
    name = postfix.value(pickup, "cleanup_service_name") if pickup else ""
    cleanup = postfix.service(f"{name or 'cleanup'}/unix")
    default = (
        postfix.value(cleanup, "milter_default_action")
        if cleanup
        else postfix.parameters.get("milter_default_action", "")
    )
    return Passage(
        SENDMAIL,
        tuple(milters),
        place,
        _action(milters[place], default),
        cleanup is not None and cleanup.chrooted,
        _limit(postfix, pickup),
        _limit(postfix, cleanup),
    )


def _place(postfix: Postfix, milters: list[str], socket: str) -> int | None:
    ours = [
        place
        for place, element in enumerate(milters)
        if is_ours(postfix, endpoint(element), socket)
    ]
    return ours[0] if ours else None


def _action(element: str, default: str) -> str:
    """Return the default action: the milter's own attribute, else the parameter's value."""
    inner = elements(packed(element).strip("{}"))
    own = [text.partition("=")[2] for text in inner if text.startswith("default_action=")]
    return own[-1] if own else default


def _limit(postfix: Postfix, service: Service | None) -> int:
    text = (
        postfix.value(service, "message_size_limit")
        if service
        else postfix.parameters.get("message_size_limit", "0")
    )
    return int(text) if text.isdigit() else 0
