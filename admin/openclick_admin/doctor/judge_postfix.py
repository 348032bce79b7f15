"""Judges how Postfix runs, and how it hands mail to the milter; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from openclick_admin.doctor.facts import Facts
from openclick_admin.doctor.findings import Finding, fault, ok, warning
from openclick_admin.doctor.passages import (
    SENDMAIL,
    Passage,
    passages,
    smtpd_services,
    strangers,
)
from openclick_admin.postconf import Postfix, Service
from openclick_admin.postfix_lists import elements, endpoint
from openclick_admin.postfix_plan import submission_services
from openclick_admin.postfix_split import inject_listener

APPLY = "openclick postfix --apply"
_OLDEST = (3, 7)
_SIGNERS = re.compile(r"dkim|rspamd|:(?:8891|8892|11332)\b", re.IGNORECASE)
_WAITS = "mail waits, with a 451 to the client, while the milter cannot be reached"
_PASSES = (
    "mail goes out untracked while the milter cannot be reached; a milter killed inside a "
    "replacement would lose that one message"
)


def runs(facts: Facts) -> Iterator[Finding]:
    """Whether Postfix is there, runs, and is of a version that was tried."""
    postfix = facts.postfix.postfix
    if postfix is None:
        yield fault(
            "postfix",
            facts.postfix.fault,
            "install Postfix, or name its configuration with --postfix-config",
        )
        return
    version = postfix.parameters.get("mail_version", "?")
    where = f"Postfix {version} ({postfix.config_directory})"
    if not facts.postfix.running:
        yield fault("postfix", f"{where} is not running", "postfix start")
    elif _version(version) < _OLDEST:
        yield warning(
            "postfix",
            f"{where} runs; it is older than 3.7",
            "OpenClick is tried with Postfix 3.7 and newer: upgrade where you can",
        )
    else:
        yield ok("postfix", f"{where} runs")


def attached(facts: Facts) -> Iterator[Finding]:
    """Whether every way by which apps submit leads through the milter, and no other does."""
    postfix = facts.postfix.postfix
    if postfix is None:
        return
    socket = facts.config.milter.socket
    asked = {passage.where for passage in passages(postfix, socket)}
    for where, named in strangers(postfix, socket):
        yield fault(where, f"asks {named}, but the milter listens at {socket}", APPLY)
    if not asked:
        yield fault("postfix", "no service asks the milter: no mail is tracked", APPLY)
        return
    services = submission_services(postfix, ())
    for service in services:
        yield _submission(postfix, service, asked)
    if not services and not asked - {SENDMAIL}:
        yield warning(
            "master.cf",
            "no submission service: apps that speak SMTP have no tracked way in",
            f"enable submission (port 587), or: {APPLY} --service NAME/TYPE",
        )
    if SENDMAIL not in asked:
        yield warning(SENDMAIL, "its mail passes no milter of ours, so it is not tracked", APPLY)
    else:
        yield ok(SENDMAIL, "asks the milter")
    yield from _overruled(postfix, asked)


def _submission(postfix: Postfix, service: Service, asked: set[str]) -> Finding:
    if service.key in asked:
        return ok(service.key, "asks the milter")
    hop = postfix.value(service, "content_filter").partition(":")[0]
    if hop in ("oc_split", "oc_pass") and asked - {SENDMAIL}:
        return ok(service.key, f"hands over by {hop} to a listener that asks the milter")
    return fault(service.key, "does not ask the milter: its mail is not tracked", APPLY)


def _overruled(postfix: Postfix, asked: set[str]) -> Iterator[Finding]:
    """What takes a milter out that a list names, and what puts it where it does not belong."""
    for service in smtpd_services(postfix):
        if service.key not in asked:
            continue
        if "no_milters" in elements(postfix.value(service, "receive_override_options")):
            yield fault(
                service.key,
                "receive_override_options has no_milters: its mail is not tracked",
                f"take no_milters out of {service.key}",
            )
        if maps := postfix.value(service, "smtpd_milter_maps"):
            yield warning(
                service.key,
                f"smtpd_milter_maps = {maps} overrules the milters for the clients it names",
                "look whether apps are among them",
            )
        if service.name.rpartition(":")[2] in ("smtp", "25"):
            yield warning(
                service.key,
                "mail from the internet passes the milter too; it is not "
                "tracked, but each message costs a moment",
                "name the milter on the submission services alone: openclick postfix",
            )


def order(facts: Facts) -> Iterator[Finding]:
    """Whether ours is the first milter: a signature must cover what is sent."""
    for passage in _passages(facts):
        ahead = [endpoint(element) for element in passage.milters[: passage.place]]
        signers = [name for name in ahead if _SIGNERS.search(name)]
        if signers:
            yield fault(
                passage.where,
                f"{', '.join(signers)} comes before OpenClick: what it has "
                "signed goes out untracked, for a signature must not be broken",
                _apply(facts, passage),
            )
        elif ahead:
            yield warning(
                passage.where,
                f"{', '.join(ahead)} comes before OpenClick; if it signs, "
                "its mail goes out untracked",
                f"put OpenClick first: {_apply(facts, passage)}",
            )
        else:
            behind = len(passage.milters) - 1
            yield ok(passage.where, "OpenClick comes first" + (f" of {behind + 1}" * (behind > 0)))


def default_action(facts: Facts) -> Iterator[Finding]:
    """What becomes of mail while the milter is away."""
    for passage in _passages(facts):
        if passage.action == "accept":
            yield ok(passage.where, f"default_action=accept: {_PASSES}")
        elif passage.action == "tempfail":
            yield ok(passage.where, f"default_action=tempfail: {_WAITS}")
        else:
            yield fault(
                passage.where,
                f"default_action={passage.action or '(none)'}: mail is "
                "refused or held while the milter cannot be reached",
                _apply(facts, passage),
            )


def corrupt_files(facts: Facts) -> Iterator[Finding]:
    """Whether Postfix has set mail aside that it could not read, as after a killed milter."""
    found = facts.postfix.corrupt
    if facts.postfix.postfix is None:
        return
    if found is None:
        yield warning("corrupt/", "cannot be looked into", "run this as root")
    elif found:
        shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        yield fault(
            "corrupt/",
            f"{len(found)} queue files were set aside as corrupt: {shown}; "
            "their senders got a 250, and the mail was not sent",
            "see each with postcat; "
            "have it sent again; then remove it; --strict avoids more: openclick postfix "
            "--apply --strict",
        )
    else:
        yield ok("corrupt/", "empty: no mail was set aside")


def sizes(facts: Facts) -> Iterator[Finding]:
    """Whether a message may grow by what tracking adds."""
    most = facts.config.milter.max_message_bytes
    for passage in _passages(facts):
        apply = _apply(facts, passage)
        announced, room = passage.announced_bytes, passage.cleanup_bytes
        if room and most > room:
            yield fault(
                passage.where,
                f"milter.max_message_bytes is {most:,}, but cleanup refuses "
                f"more than {room:,}: mail that grows past it gets a permanent 552",
                f"{apply}, or set max_message_bytes = {room}",
            )
        elif announced and most < announced:
            yield warning(
                passage.where,
                f"takes {announced:,} bytes, but messages past "
                f"milter.max_message_bytes ({most:,}) go out untouched",
                f"set max_message_bytes = {announced}, and give cleanup more room: {apply}",
            )
        elif announced and room and room <= announced:
            yield warning(
                passage.where,
                f"cleanup takes no more than the {announced:,} bytes that "
                "are announced: a message close to that has no room for tracking and "
                "goes out untouched",
                apply,
            )
        else:
            yield ok(passage.where, f"cleanup takes {room:,} bytes" if room else "no size limit")


def _apply(facts: Facts, passage: Passage) -> str:
    """Return the command for one passage, named where the command would pass it over."""
    postfix = facts.postfix.postfix
    if postfix is None or passage.where == SENDMAIL:
        return APPLY
    known = (*submission_services(postfix, ()), inject_listener(postfix))
    if any(service.key == passage.where for service in known if service is not None):
        return APPLY
    return f"{APPLY} --service {passage.where}"


def _passages(facts: Facts) -> list[Passage]:
    postfix = facts.postfix.postfix
    return passages(postfix, facts.config.milter.socket) if postfix else []


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)[:2]))
