"""`openclick explain`: what was done with a message, or would be, and why; `hit` is next door.

    openclick explain message FILE                              what the milter would do with it
    openclick explain message QUEUE-ID|EMAIL-ID|MESSAGE-ID      what it did: the message's rows

A file is read twice: by the milter's own code, which decides, and by stdlib `email` and
BeautifulSoup (this module is bs4's only importer), which know nothing of it.  Where the two see
different links, a line says so; one of them is wrong about what a mail program will see.  Tracking
links of ours that stand in the file already are opened with the keys at hand.

Limits: html.parser, which BeautifulSoup stands on, is quadratic on hostile input: it is given up
after some seconds.
"""

from __future__ import annotations

import email
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.message import Message as Entity
from itertools import count
from typing import NoReturn

import click
from bs4 import BeautifulSoup
from bs4.builder import ParserRejectedMarkup

from openclick.ids import parse_email_id
from openclick.messages import Message
from openclick.store import MessageReader
from openclick_admin import explain_output
from openclick_admin.context import Admin, pass_admin
from openclick_admin.explain_file import Page, SecondReading, decoded, explain, followed
from openclick_admin.explain_hit import hit
from openclick_admin.instrument import Offline
from openclick_admin.output import json_option, print_json

SECOND_READER_SECONDS = 10.0
"""After so long BeautifulSoup is given up."""

_ID = re.compile(r"email_.*|<.*|.*@.*|[A-Za-z0-9]+")
_NOT_ENTERED = ("multipart/signed", "multipart/encrypted", "multipart/digest")
_RAW_TEXT = ["title", "textarea", "xmp", "iframe", "noembed", "noframes", "plaintext"]
"""Elements in which a browser sees no tags, but html.parser of older Pythons does."""


@click.group("explain")
def command() -> None:
    """What was done with a message or a hit, or would be, and why."""


command.add_command(hit)


@command.command("message")
@click.argument("wanted", metavar="FILE|QUEUE-ID|EMAIL-ID|MESSAGE-ID")
@json_option
@pass_admin
def message(admin: Admin, wanted: str, as_json: bool) -> None:
    """Explain a message file, or the rows of a message that was submitted.

    What is not the name of a file is an id: email_… is ours, <…> or anything with an @ is a
    Message-ID, all else is Postfix's queue id.  "-" is standard input.
    """
    if wanted == "-" or os.path.isfile(wanted):
        _message_file(Offline(admin), wanted, as_json)
    elif _ID.fullmatch(wanted):
        _message_rows(admin, wanted, as_json)
    else:
        _end(f"{explain_output.plain(wanted)}: no such file, and no id of a message")


def _message_rows(admin: Admin, wanted: str, as_json: bool) -> None:
    with closing(admin.store.message_reader()) as reader:
        rows = _find_rows(reader, wanted)
    if not rows:
        _end(
            f"{explain_output.plain(wanted)}: no such file, and no message row has this id "
            "(mail of domains that are not added gets no row)"
        )
    if as_json:
        print_json([explain_output.row_as_json(row) for row in rows])
        return
    for number, row in enumerate(rows):
        if number:
            click.echo()
        explain_output.show_row(row)


def _message_file(offline: Offline, path: str, as_json: bool) -> None:
    try:
        with click.open_file(path, "rb") as stream:
            raw = stream.read()
    except OSError as error:
        _end(f"{click.format_filename(path)}: cannot be read: {error.strerror}")
    name = "standard input" if path == "-" else click.format_filename(path)
    if not raw:
        _end(f"{name}: is empty: need a whole message")
    explained = explain(offline, raw, second_reading(raw))
    if as_json:
        print_json({"file": name, **explain_output.file_as_json(explained)})
    else:
        explain_output.show_file(name, explained)


def _find_rows(reader: MessageReader, wanted: str) -> list[Message]:
    """Return the rows that an email id, a Message-ID or else a queue id names.

    A Message-ID may lack its angle brackets.  Raises BadParameter for a malformed email id.
    """
    if wanted.startswith("email_"):
        try:
            return reader.many_by_email_id(parse_email_id(wanted))
        except ValueError as error:
            raise click.BadParameter(str(error)) from error
    if "@" in wanted or wanted.startswith("<"):
        bare = wanted.removeprefix("<").removesuffix(">")
        return reader.many_by_message_id(f"<{bare}>") or reader.many_by_message_id(wanted)
    return reader.many_by_queue_id(wanted)


def _end(text: str) -> NoReturn:
    click.echo(f"openclick: {text}", err=True)
    sys.exit(1)


# The second reader


class _TooSlow(Exception):
    """BeautifulSoup has taken too long."""


def second_reading(raw: bytes) -> SecondReading:
    """Read the HTML parts of a message with the standard library and BeautifulSoup."""
    try:
        with _given_up_after(SECOND_READER_SECONDS):
            return SecondReading(
                {
                    number: _page(entity)
                    for number, entity in _entities(email.message_from_bytes(raw), count())
                    if entity.get_content_type() == "text/html"
                }
            )
    except _TooSlow:
        fault = f"BeautifulSoup took more than {SECOND_READER_SECONDS:g} s"
    except (ParserRejectedMarkup, RecursionError, ValueError, LookupError) as error:
        fault = f"BeautifulSoup failed: {type(error).__name__}: {error}"
    return SecondReading({}, fault)


@contextmanager
def _given_up_after(seconds: float) -> Iterator[None]:
    """Raise _TooSlow in the block after so many seconds."""

    def give_up(_signal: int, _frame: object) -> NoReturn:
        raise _TooSlow

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _entities(entity: Entity, numbers: Iterator[int]) -> Iterator[tuple[int, Entity]]:
    """Yield the entities that may be edited, numbered like the milter's parts."""
    number = next(numbers)
    if entity.get_content_disposition() not in (None, "inline"):
        return
    if entity.get_content_maintype() != "multipart":
        yield number, entity
    elif entity.get_content_type() not in _NOT_ENTERED and entity.is_multipart():
        for inner in entity.get_payload():
            assert isinstance(inner, Entity)
            yield from _entities(inner, numbers)


def _page(entity: Entity) -> Page:
    content = entity.get_payload(decode=True)
    text = decoded(content if isinstance(content, bytes) else b"", entity.get_content_charset(""))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bs4 wonders about text that looks like a URL or like XML
        soup = BeautifulSoup(text, "html.parser", on_duplicate_attribute="ignore")
    links = (
        tag for tag in soup.find_all(["a", "area"], href=True) if not tag.find_parent(_RAW_TEXT)
    )
    hrefs = (followed(str(tag["href"])) for tag in links)
    images = [str(tag["src"]) for tag in soup.find_all("img", src=True)]
    return Page([href for href in hrefs if href], images)
