"""`openclick explain hit`: which rule decided on a hit, and on what evidence.

    openclick explain hit EVENT-ID                     one hit that became an event
    openclick explain hit EMAIL-ID                     every hit of a message, dropped ones too
    openclick explain hit --user-agent TEXT ...        what the rules say of such a request
    openclick explain hit --access-log FILE            what they say of every request in a log

The first two show what the sidecar has written down; the others ask the rules as they are now, the
admin's own included.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import IO, NoReturn

import click
from rich.console import Console
from rich.progress import Progress

from openclick.hits import JUDGED_HEADERS, MAX_HEADER_CHARS, Hit
from openclick.ids import new_email_id, parse_email_id
from openclick.instants import SECOND
from openclick.messages import Message
from openclick.store import StoreFault
from openclick.tokens import Kind
from openclick.verdicts import JudgedHit
from openclick_admin import explain_hit_output
from openclick_admin.access_log import replay
from openclick_admin.context import Admin, pass_admin
from openclick_admin.explain_output import plain
from openclick_admin.output import json_option, print_json
from openclick_sidecar.judges import load_judge

_EVENT_ID = re.compile(r"evt_([0-9a-f]{32})")
_KINDS = {"open": Kind.OPEN, "click": Kind.CLICK}
_DEFAULT_AFTER_SECONDS = 86_400.0
_LONG_BYTES = 4_000_000
"""A log that is shorter is read before anybody could look at a progress bar."""


@click.command("hit")
@click.argument("wanted", metavar="[EVENT-ID|EMAIL-ID]", required=False)
@click.option("--user-agent", metavar="TEXT", help="Ask the rules about this user agent.")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header of it.")
@click.option("--ip", default="", metavar="ADDRESS", help="The address that it comes from.")
@click.option(
    "--after",
    "after_seconds",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="How long after the submission it comes.  [default: a day]",
)
@click.option("--access-log", metavar="FILE", help="Replay a log in the combined format.")
@click.option(
    "--kind",
    type=click.Choice([*_KINDS]),
    help="What it is; in a log, what an unknown path is.  [default: both; in a log click]",
)
@json_option
@pass_admin
def hit(
    admin: Admin,
    wanted: str | None,
    *,
    user_agent: str | None,
    headers: tuple[str, ...],
    ip: str,
    after_seconds: float | None,
    access_log: str | None,
    kind: str | None,
    as_json: bool,
) -> None:
    """Explain a hit: which rule decided on it, on what evidence.

    EVENT-ID names one hit, EMAIL-ID every hit of a message.  Instead, --user-agent asks what the
    rules say of a request, --access-log what they say of each line of a log ("-" is standard
    input).
    """
    if [wanted, user_agent, access_log].count(None) != 2:
        raise click.UsageError("need one of EVENT-ID, EMAIL-ID, --user-agent and --access-log")
    if user_agent is None and (headers or ip or after_seconds is not None):
        raise click.UsageError("--header, --ip and --after go with --user-agent")
    if wanted is not None:
        if kind is not None:
            raise click.UsageError("--kind goes with --user-agent and --access-log")
        _recorded(admin, wanted, as_json)
    elif user_agent is not None:
        after = _DEFAULT_AFTER_SECONDS if after_seconds is None else after_seconds
        _request(admin, _hits(user_agent, headers, ip, after, kind), as_json)
    elif access_log is not None:
        _log(admin, access_log, _KINDS[kind or "click"], as_json)


# What was written down


def _recorded(admin: Admin, wanted: str, as_json: bool) -> None:
    event = _EVENT_ID.fullmatch(wanted)
    with admin.registry() as registry:
        if event is not None:
            found = registry.events.maybe_judged(bytes.fromhex(event[1]))
            judged = [found] if found else []
        else:
            judged = registry.events.many_judged(_email_id(wanted))
    if not judged:
        kind = "hit of this event" if event else "hit of this message"
        _end(f"{plain(wanted)}: no {kind} was judged, or its verdict is gone by now")
    messages = _messages(admin, judged)
    if as_json:
        told = [explain_hit_output.judged_as_json(each, messages.get(each.copy)) for each in judged]
        print_json(told[0] if event else told)
    elif event is not None:
        explain_hit_output.show_judged(judged[0], messages.get(judged[0].copy))
    else:
        explain_hit_output.show_all_judged(judged)


def _email_id(wanted: str) -> bytes:
    try:
        return parse_email_id(wanted)
    except ValueError as error:
        raise click.BadParameter(f"{error}, or an event's evt_ and 32 digits") from error


def _messages(admin: Admin, judged: Sequence[JudgedHit]) -> dict[bytes, Message]:
    """Return the rows of the message by copy; none where they cannot be had, which is no fault."""
    try:
        with closing(admin.store.message_reader()) as reader:
            return {row.copy: row for row in reader.many_by_email_id(judged[0].email_id)}
    except StoreFault:
        return {}


# What the rules say


def _hits(
    user_agent: str, headers: Sequence[str], ip: str, after_seconds: float, kind: str | None
) -> list[Hit]:
    kinds = list(_KINDS.values()) if kind is None else [_KINDS[kind]]
    email_id = new_email_id(0, bytes(10))
    agent = user_agent[:MAX_HEADER_CHARS]
    at = round(after_seconds * SECOND)
    kept = _kept(headers)
    return [Hit(b"", at, each, email_id, bytes(4), 0, "", "", ip, agent, kept) for each in kinds]


def _kept(headers: Sequence[str]) -> dict[str, str]:
    """Return the headers as the sidecar keeps them; says of the others that no rule sees them."""
    kept = {}
    for header in headers:
        name, colon, value = header.partition(":")
        name = name.strip().lower()
        if not colon or not name:
            raise click.BadParameter(f"{header!r}: need 'Name: value'", param_hint="--header")
        if name not in JUDGED_HEADERS:
            kept_ones = ", ".join(JUDGED_HEADERS)
            raise click.BadParameter(
                f"{name!r} is not kept with a hit, so no rule sees it; need one of {kept_ones}",
                param_hint="--header",
            )
        if value.strip():
            kept[name] = value.strip()[:MAX_HEADER_CHARS]
    return kept


def _request(admin: Admin, hits: Sequence[Hit], as_json: bool) -> None:
    judge = load_judge(admin.config)
    verdicts = [(each.kind, judge.verdict(each)) for each in hits]
    if as_json:
        print_json(
            [
                {"kind": explain_hit_output.KIND_NAMES[kind]}
                | explain_hit_output.verdict_as_json(verdict)
                for kind, verdict in verdicts
            ]
        )
    else:
        explain_hit_output.show_verdicts(verdicts)


def _log(admin: Admin, path: str, otherwise: Kind, as_json: bool) -> None:
    judge = load_judge(admin.config)
    try:
        with click.open_file(path, "rb") as stream, _progress(stream) as on_read:
            summary = replay(stream, judge, otherwise, on_read)
    except OSError as error:
        _end(f"{click.format_filename(path)}: cannot be read: {error.strerror}")
    if as_json:
        print_json({"file": path, **explain_hit_output.summary_as_json(summary)})
    else:
        explain_hit_output.show_summary(summary)
    if not summary.hits:
        name = "standard input" if path == "-" else click.format_filename(path)
        _end(f"{name}: no GET in the combined format of Apache and nginx was found")


@contextmanager
def _progress(stream: IO[bytes]) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far a long file has been read; yields what is told of each step."""
    try:
        length = os.fstat(stream.fileno()).st_size
    except OSError:  # a pipe, or what a test hands in
        length = 0
    console = Console(stderr=True)
    if length < _LONG_BYTES or not console.is_terminal:
        yield lambda _read: None
        return
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("reading", total=length)
        yield lambda read: progress.advance(task, read)


def _end(text: str) -> NoReturn:
    click.echo(f"openclick: {text}", err=True)
    sys.exit(1)
