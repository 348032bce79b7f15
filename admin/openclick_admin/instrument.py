"""`openclick instrument`: what the milter would make of a message, without Postfix.

    openclick instrument < in.eml > out.eml

The message goes to standard output byte for byte, with only the milter's edits in it; what was done
stands on standard error.  No row is written, so a hit on one of its links becomes an event that
knows no more than the token.  `Offline`, `Mail` and `Trial` serve `openclick explain message` too.

Promises: whatever is missing (settings, store, domain, keys) is replaced by something that a first
try can do with, and said.  Limits: trust, deadline and envelope are not there; the Return-Path of a
delivered message stands in for the envelope sender.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import click

from openclick.config import DEFAULT_PATH
from openclick.domains import SendingDomain
from openclick.ids import COPY_BYTES, UUID7_RANDOM_BYTES, format_email_id, new_email_id
from openclick.instants import now
from openclick.keys import KeyFault, load_keys
from openclick.names import BadName, domain_name
from openclick.policy import Choice, Decision, decide
from openclick.settings import Config
from openclick.store import StoreFault, open_store
from openclick.tokens import KEY_BYTES, KeyRing
from openclick_admin.context import Admin, pass_admin
from openclick_milter import envelope
from openclick_milter.controls import Controls, read_controls
from openclick_milter.instrument import Instrumented, Limits, Request, Untouched, instrument
from openclick_milter.minter import TokenMinter
from openclick_milter.offline import remove_fields, split_message
from openclick_milter.reasons import Reason
from openclick_milter.rows import comes_again

_NO_DOMAIN = "example.test"
"""Stands in for the sending domain of a message that names none (RFC 2606)."""


@dataclass(frozen=True)
class Mail:
    """A message as the milter would have read it at the end of its header."""

    raw: bytes
    fields: list[tuple[str, str]]
    body: bytes
    controls: Controls
    sending_domain: str | None


@dataclass(frozen=True)
class Trial:
    """What was decided about a message, and what came of it."""

    decision: Decision
    minter: TokenMinter
    result: Instrumented | Untouched


class Offline:
    """The milter's surroundings without the milter; `notes` say what had to be replaced.

    Raises ConfigError where there are settings, but faulty ones.
    """

    def __init__(self, admin: Admin, *, throwaway_key: bool = False) -> None:
        self.notes: list[str] = []
        self.config = self._config(admin)
        self.ring = self._ring(throwaway_key)

    def _config(self, admin: Admin) -> Config:
        if admin.config_path == DEFAULT_PATH and not os.path.exists(DEFAULT_PATH):
            self.notes.append(f"{DEFAULT_PATH} is not there: every setting has its default")
            return Config()
        return admin.config

    def _ring(self, throwaway: bool) -> KeyRing:
        why = ""
        if not throwaway:
            try:
                return load_keys(self.config.keys.directory)
            except KeyFault as fault:
                why = f" ({fault})"
        self.notes.append(
            f"a throw-away key seals: the links open nowhere, and ours are not recognised{why}"
        )
        return KeyRing({0: os.urandom(KEY_BYTES)})

    def read(self, raw: bytes) -> Mail:
        """Read a message as `submission` does."""
        fields, body = split_message(raw)
        milter = self.config.milter
        sender = envelope.bare_address(envelope.first_value(fields, "return-path") or "")
        return Mail(
            raw,
            fields,
            body,
            read_controls(fields, milter.header_prefix, vendors=milter.vendor_headers),
            envelope.sending_domain(fields, sender),
        )

    def maybe_domain(self, name: str | None) -> SendingDomain | None:
        """Return an added domain.  Raises StoreFault."""
        if name is None:
            return None
        with closing(open_store(self.config.store.url).registry_reader()) as reader:
            return reader.domains.maybe_domain(name)

    def _serves_https(self, tracking_domain: str) -> bool:
        try:
            with closing(open_store(self.config.store.url).registry_reader()) as reader:
                return tracking_domain in reader.certificates.https_names()
        except StoreFault:
            return False

    def request(self, mail: Mail, decision: Decision) -> Request:
        """Return what `submission` would ask for."""
        return Request(
            opens=decision.opens.on,
            clicks=decision.clicks.on,
            unsubscribe_urls=envelope.unsubscribe_urls(mail.fields),
            conditional_comments=self.config.milter.conditional_comments,
            signed_ok=self.config.milter.instrument_signed,
        )

    def limits(self, mail: Mail) -> Limits:
        """Return the bounds that `submission` sets for this message's body."""
        most = self.config.milter.max_message_bytes
        return Limits(max_message_bytes=envelope.body_room_bytes(most, mail.fields, ()))

    def try_out(self, mail: Mail, decision: Decision, tracking_domain: str) -> Trial:
        """Instrument a message as was decided, with a fresh email id."""
        minter = TokenMinter(
            self.ring,
            self.config.links.chosen(lambda: self._serves_https(tracking_domain)),
            tracking_domain,
            new_email_id(now(), os.urandom(UUID7_RANDOM_BYTES)),
            os.urandom(COPY_BYTES),
        )
        if not decision.tracks:
            return Trial(decision, minter, Untouched(decision.why_off))
        request = self.request(mail, decision)
        limits = self.limits(mail)
        result = instrument(mail.fields, mail.body, request, minter, limits, lambda: None)
        if isinstance(result, Instrumented) and self._comes_again(mail, result, minter):
            result = Untouched(Reason.COMES_AGAIN)
        return Trial(decision, minter, result)

    def _comes_again(self, mail: Mail, result: Instrumented, minter: TokenMinter) -> bool:
        """Tell whether the message holds links of ours whose rows have its own Message-ID."""
        message_id = envelope.first_value(mail.fields, "message-id")
        if not result.own_urls:
            return False
        try:
            with closing(open_store(self.config.store.url).message_reader()) as reader:
                return comes_again(
                    message_id, result.own_urls, minter, reader.maybe_message, lambda: None
                )
        except StoreFault:
            return False


def stand_in(name: str | None) -> SendingDomain:
    """Return a domain, verified and with both defaults on, for one that is not added."""
    return SendingDomain("", name or _NO_DOMAIN, True, True, "track", 0, verified_at=0)


def _tracking_domain(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else domain_name(value)
    except BadName as error:
        raise click.BadParameter(f"{value!r}: {error}") from error


@click.command("instrument")
@click.option("--opens/--no-opens", default=None, help="Add the open image, or do not.")
@click.option("--clicks/--no-clicks", default=None, help="Track links, or do not.")
@click.option(
    "--tracking-domain",
    metavar="NAME",
    callback=_tracking_domain,
    help="The host of the tracking links; that of the sending domain by default.",
)
@click.option("--throwaway-key", is_flag=True, help="Seal with a key that nobody keeps.")
@pass_admin
def command(
    admin: Admin,
    opens: bool | None,
    clicks: bool | None,
    tracking_domain: str | None,
    throwaway_key: bool,
) -> None:
    """Instrument the message on standard input, and print it.

    \b
        openclick instrument < in.eml > out.eml

    Without --opens and --clicks the message's control headers decide, then the sending domain's
    defaults; for a domain that is not added both are on.  No row is written.
    """
    offline = Offline(admin, throwaway_key=throwaway_key)
    mail = offline.read(_standard_input())
    domain = _domain(offline, mail.sending_domain)
    decision = decide(mail.controls.toggles, domain)
    decision = Decision(_overruled(opens, decision.opens), _overruled(clicks, decision.clicks))
    trial = offline.try_out(mail, decision, tracking_domain or domain.tracking_domain)
    sys.stdout.buffer.write(_edited(mail, trial.result))
    sys.stdout.buffer.flush()
    for text in (*_told(mail, trial), *offline.notes):
        click.echo(f"openclick: {text}", err=True)


def _standard_input() -> bytes:
    if sys.stdin.isatty():
        click.echo("openclick: reads a message from standard input; Ctrl-D ends it", err=True)
    raw = sys.stdin.buffer.read()
    if not raw:
        click.echo("openclick: standard input is empty: need a whole message", err=True)
        sys.exit(1)
    return raw


def _domain(offline: Offline, name: str | None) -> SendingDomain:
    """Return the sending domain as if it were verified, and note what it lacks."""
    host = stand_in(name).tracking_domain
    try:
        domain = offline.maybe_domain(name)
    except StoreFault as fault:
        offline.notes.append(f"the store cannot be read, {host} is assumed: {fault}")
        return stand_in(name)
    if name is None:
        offline.notes.append(f"no From address names a sending domain: {host} is assumed")
    elif domain is None:
        offline.notes.append(
            f"{name} is not added, {host} is assumed: the milter would leave the message as it is"
        )
    elif not domain.is_verified:
        offline.notes.append(
            f"{domain.tracking_domain} is not verified: the milter would leave the message as it is"
        )
        return replace(domain, verified_at=0)
    return domain or stand_in(name)


def _overruled(option: bool | None, choice: Choice) -> Choice:
    return choice if option is None else Choice(option, f"option says {'on' if option else 'off'}")


def _edited(mail: Mail, result: Instrumented | Untouched) -> bytes:
    """Return the whole message with the milter's edits."""
    raw = remove_fields(mail.raw, mail.controls.removals)
    if isinstance(result, Untouched):
        return raw
    return raw[: len(raw) - len(mail.body)] + result.body


def _told(mail: Mail, trial: Trial) -> Iterator[str]:
    """Yield what was done, a line each."""
    result = trial.result
    if isinstance(result, Untouched):
        yield f"untouched: {result.reason}"
    else:
        yield f"instrumented: {_links_told(trial)}; {_image_told(result)}"
        left = Counter(link.reason for link in result.links if not link.tracked)
        if left:
            yield "left alone: " + ", ".join(f"{count} {why}" for why, count in left.items())
        email_id = format_email_id(trial.minter.email_id)
        yield f"sealed for {trial.minter.tracking_domain} as {email_id}; no row is written"
    if mail.controls.removals:
        removed = ", ".join(sorted({removal.name for removal in mail.controls.removals}))
        yield f"control headers removed: {removed}"
    yield from mail.controls.complaints


def _links_told(trial: Trial) -> str:
    assert isinstance(trial.result, Instrumented)
    if not trial.decision.clicks.on:
        return f"links as they are, {trial.decision.clicks.reason}"
    tracked = sum(link.tracked for link in trial.result.links)
    left = len(trial.result.links) - tracked
    return f"{tracked} {'link' if tracked == 1 else 'links'} tracked, {left} left alone"


def _image_told(result: Instrumented) -> str:
    return (
        f"open image {result.image.reason}"
        if result.image.placed
        else (f"no open image: {result.image.reason}")
    )
