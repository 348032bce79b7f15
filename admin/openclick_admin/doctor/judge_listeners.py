"""Judges whom the milter obeys, and the listener that re-injects split mail; pure."""

from __future__ import annotations

from collections.abc import Iterator

from openclick.option_kinds import IPNetwork
from openclick_admin.doctor.facts import Facts
from openclick_admin.doctor.findings import Finding, fault, ok, warning
from openclick_admin.doctor.judge_postfix import APPLY
from openclick_admin.doctor.passages import passages, smtpd_services
from openclick_admin.postconf import Postfix, Service
from openclick_admin.postfix_lists import contains, elements, is_this_machine, networks
from openclick_admin.postfix_split import TABLE

_LOOPBACK_NAMES = ("127.", "[::1]", "localhost", "[127.")
_ALL_BUT = 4
"""A network of fewer bits than this holds a good part of the internet."""


def trusted(facts: Facts) -> Iterator[Finding]:
    """Whether app servers that submit without a login are trusted, and nobody else is."""
    known = facts.config.milter.trusted_networks
    for network in known:
        if network.prefixlen < _ALL_BUT:
            yield fault(
                "milter.trusted_networks",
                f"{network} holds the internet: strangers' mail "
                "would be sealed with your key, phishing links included",
                "name the networks of your app servers alone",
            )
    postfix = facts.postfix.postfix
    if postfix is not None:
        yield from _relayed(postfix, known)
    yield from _only_strangers(facts)


def _relayed(postfix: Postfix, known: tuple[IPNetwork, ...]) -> Iterator[Finding]:
    literal, _ = networks(postfix.parameters.get("mynetworks", ""))
    missing = [
        str(network)
        for network in literal
        if not is_this_machine(network)
        and not any(contains(trusted_network, network) for trusted_network in known)
    ]
    if not missing:
        yield ok("mynetworks", "whoever may relay without a login is trusted")
        return
    wanted = ", ".join(f'"{name}"' for name in [*map(str, known), *missing])
    yield warning(
        "mynetworks",
        f"{' '.join(missing)} may relay without a login, but is not "
        "trusted: mail from there goes out untracked",
        f"where these are your app servers, set milter.trusted_networks = [{wanted}]",
    )


def _only_strangers(facts: Facts) -> Iterator[Finding]:
    beat = facts.milter.heartbeat
    if beat is None:
        return
    foreign = beat.counters.get("foreign", 0)
    obeyed = beat.counters.get("instrumented", 0) + beat.counters.get("untouched", 0)
    if foreign and not obeyed:
        yield warning(
            "milter",
            f"none of the {foreign} messages that it saw came from a client that it trusts",
            "let apps log in, or name their networks in milter.trusted_networks",
        )


def reinjection(facts: Facts) -> Iterator[Finding]:
    """Whether the listeners whose mail is always obeyed end the split, and are for us alone."""
    postfix = facts.postfix.postfix
    if postfix is None:
        return
    daemons = facts.config.milter.trusted_daemons
    asked = {passage.where for passage in passages(postfix, facts.config.milter.socket)}
    found = [
        service
        for service in smtpd_services(postfix)
        if service.overrides.get("milter_macro_daemon_name", "") in daemons
    ]
    for service in found:
        yield from _inject(postfix, service, asked)
    yield from _split(postfix, found)


def _inject(postfix: Postfix, service: Service, asked: set[str]) -> Iterator[Finding]:
    faults = []
    if hop := postfix.value(service, "content_filter"):
        faults.append(
            fault(
                service.key,
                f"content_filter is {hop} here too: each mail goes round and round, "
                "and bounces after 50 passes",
                f"postconf -P {service.key}/content_filter= (or: {APPLY})",
            )
        )
    if TABLE in postfix.value(service, "smtpd_sender_restrictions"):
        faults.append(
            fault(
                service.key,
                f"smtpd_sender_restrictions asks {TABLE} here too, which sends each "
                "mail round again",
                f"postconf -P {service.key}/smtpd_sender_restrictions=",
            )
        )
    if not _is_loopback(postfix, service):
        faults.append(
            fault(
                service.key,
                "listens not on loopback alone, and its mail is tracked whoever "
                "sends it: strangers could have their links sealed with your key",
                f"name it 127.0.0.1:PORT in master.cf (or: {APPLY})",
            )
        )
    if service.key not in asked:
        faults.append(fault(service.key, "does not ask the milter: split mail is untracked", APPLY))
    yield from faults or [ok(service.key, "re-injects split mail, on loopback, without a filter")]


def _split(postfix: Postfix, injecting: list[Service]) -> Iterator[Finding]:
    hops = {
        postfix.value(service, "content_filter").partition(":")[0]
        for service in smtpd_services(postfix)
    }
    if "oc_split" not in hops and not injecting:
        return
    if postfix.parameters.get("oc_split_destination_recipient_limit", "") != "1":
        yield fault(
            "main.cf",
            "oc_split_destination_recipient_limit is not 1: mail with several "
            "recipients is not split",
            "postconf -e oc_split_destination_recipient_limit=1",
        )
    for hop in sorted(hops & {"oc_split", "oc_pass"}):
        if postfix.service(f"{hop}/unix") is None:
            yield fault(
                "master.cf",
                f"there is no {hop}, which a listener hands its mail to: it waits in the queue",
                APPLY,
            )
    if not injecting:
        yield fault(
            "master.cf",
            "mail is split, but no listener of milter.trusted_daemons takes "
            "it back: it is not tracked",
            APPLY,
        )


def _is_loopback(postfix: Postfix, service: Service) -> bool:
    host = service.name.rpartition(":")[0]
    if service.type == "unix":
        return True
    if host:
        return host.startswith(_LOOPBACK_NAMES)
    interfaces = elements(postfix.parameters.get("inet_interfaces", "all"))
    return all(each == "loopback-only" or each.startswith(_LOOPBACK_NAMES) for each in interfaces)
