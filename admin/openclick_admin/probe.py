"""`openclick test-send`: one small mail through the local Postfix, and what became of it.

    openclick test-send you@example.com                         by sendmail(1)
    openclick test-send you@example.com --smtp 127.0.0.1:587    as an app submits it

The mail is an ordinary one: no control header unless --tracked asks, so what happens to it happens
to the mail of an app.  Its row is looked for by its Message-ID; where none appears, `unrecorded`
finds out why.  Exit status: 0 tracked, 1 untouched or not seen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import click

from openclick.domains import SendingDomain
from openclick.messages import Message, Outcome
from openclick.names import BadName, domain_name
from openclick.store import StoreFault
from openclick_admin import explain_output
from openclick_admin.context import Admin, pass_admin
from openclick_admin.output import json_option, postfix_config_option, print_json
from openclick_admin.probe_mail import (
    NotSubmitted,
    Smtp,
    a_probe,
    by_sendmail,
    by_smtp,
    is_address,
)
from openclick_admin.unrecorded import why_unrecorded

PASSWORD_VARIABLE = "OPENCLICK_SMTP_PASSWORD"  # noqa: S105 - the name of a variable
_POLL_SECONDS = 0.2
_LOCAL_PART = "openclick-test"


@click.command("test-send")
@click.argument("recipient", metavar="ADDRESS")
@click.option("--from", "sender", metavar="ADDRESS", help="The sender; its domain must be added.")
@click.option("--smtp", "server", metavar="HOST:PORT", help="Submit there, not by sendmail(1).")
@click.option(
    "--login",
    metavar="NAME",
    help=f"Log in there; the password is asked for, or is in {PASSWORD_VARIABLE}.",
)
@click.option(
    "--tracked", is_flag=True, help="Ask for opens and clicks, whatever the domain's defaults are."
)
@click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(0, 600),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to look for the message's row.",
)
@postfix_config_option
@json_option
@pass_admin
def command(
    admin: Admin,
    recipient: str,
    *,
    sender: str | None,
    server: str | None,
    login: str | None,
    tracked: bool,
    wait_seconds: float,
    directory: Path | None,
    as_json: bool,
) -> None:
    """Send a small mail through the local Postfix and tell what was instrumented, or why not."""
    if login is not None and server is None:
        raise click.UsageError("--login goes with --smtp")
    if not is_address(recipient):
        raise click.BadParameter(f"{recipient!r}: need an address", param_hint="ADDRESS")
    if sender is not None and not is_address(sender):
        raise click.BadParameter(f"{sender!r}: need an address", param_hint="--from")
    smtp = Smtp.parsed(server, login, _password(login)) if server else None
    header_prefix = admin.config.milter.header_prefix if tracked else None
    mail = a_probe(_sender(admin, sender), recipient, header_prefix, time.time())
    try:
        if smtp is None:
            by_sendmail(mail, directory)
        else:
            by_smtp(mail, smtp)
    except NotSubmitted as error:
        _end(f"not sent: {error}")
    rows = _rows(admin, mail["Message-ID"], wait_seconds)
    if as_json:
        print_json([explain_output.row_as_json(row) for row in rows])
    if not rows:
        reasons = why_unrecorded(admin, directory, by_sendmail=smtp is None)
        lines = "".join(f"\n  {reason}" for reason in reasons)
        _end(f"sent, but no row of {mail['Message-ID']} after {wait_seconds:g} s:{lines}")
    if not as_json:
        _told(rows)
    if any(row.outcome is not Outcome.INSTRUMENTED for row in rows):
        raise SystemExit(1)


def _told(rows: list[Message]) -> None:
    for row in rows:
        if row.outcome is Outcome.INSTRUMENTED:
            tracked = sum(link.tracked for link in row.links)
            image = "with the open image" if row.opens else "without an open image"
            click.echo(f"Tracked: {tracked} of {len(row.links)} links, {image}.")
        else:
            click.echo(f"Untouched: {row.reason}.")
        explain_output.show_row(row)


def _rows(admin: Admin, message_id: str, wait_seconds: float) -> list[Message]:
    """Wait for the rows of a message: the milter writes an untouched one's after the 250."""
    deadline = time.monotonic() + wait_seconds
    while True:
        found = _found(admin, message_id)
        if found or time.monotonic() >= deadline:
            return found
        time.sleep(_POLL_SECONDS)


def _found(admin: Admin, message_id: str) -> list[Message]:
    try:
        with closing(admin.store.message_reader()) as reader:
            return reader.many_by_message_id(message_id)
    except StoreFault:
        return []  # the milter may be making the file right now; `unrecorded` says what is wrong


def _sender(admin: Admin, wanted: str | None) -> str:
    """Return an address of an added domain: the one asked for, or of the first verified one."""
    with admin.registry() as registry:
        domains = registry.domains.many_domains()
    if wanted is not None:
        _require_added(wanted, domains)
        return wanted
    usable = [domain for domain in domains if domain.is_verified] or domains
    if not usable:
        _end("no sending domain is added: openclick domain add NAME --opens --clicks")
    return f"{_LOCAL_PART}@{usable[0].name}"


def _require_added(address: str, domains: list[SendingDomain]) -> None:
    try:
        name = domain_name(address.rpartition("@")[2])
    except BadName as error:
        raise click.BadParameter(f"{address!r}: {error}", param_hint="--from") from error
    if name not in {domain.name for domain in domains}:
        _end(
            f"not sent: {name} is not an added sending domain, so its mail is not tracked: "
            f"openclick domain add {name} --opens --clicks"
        )


def _password(
    login: str | None,
    ask: Callable[[], str] = lambda: str(click.prompt("Password", hide_input=True)),
) -> str:
    if login is None:
        return ""
    return os.environ.get(PASSWORD_VARIABLE) or ask()


def _end(text: str) -> NoReturn:
    for line in text.splitlines():
        click.echo(f"openclick: {line}", err=True)
    raise SystemExit(1)
