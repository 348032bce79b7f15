"""What the milter would do with a message file, and whether a second reader sees the same links.

Called by `explain`, which brings the second reader (BeautifulSoup) with it.  The milter's own code
decides; this module collects what it says, gives every link its reason even where the message as a
whole is left alone, and compares what the two readers see.

Limits: links in comments are not compared, nor are parts that the milter does not look into.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple
from urllib.parse import urlsplit

from openclick.domains import SendingDomain
from openclick.policy import Decision, decide
from openclick.store import StoreFault
from openclick.tokens import Kind, Token
from openclick_admin.instrument import Mail, Offline, Trial, stand_in
from openclick_milter import envelope
from openclick_milter.attributes import decode_attribute
from openclick_milter.destinations import destination, is_byte_safe
from openclick_milter.instrument import Instrumented
from openclick_milter.links import Link, scan
from openclick_milter.minter import TokenMinter
from openclick_milter.parts import Part, find_parts
from openclick_milter.reasons import Reason, Unreadable
from openclick_milter.splice import decode

_ENDS = "".join(map(chr, range(0x21)))
_DROPPED = str.maketrans("", "", "\t\r\n")


class Own(NamedTuple):
    """A token of ours, opened, and the tracking domain that it stands on."""

    kind: Kind
    tracking_domain: str
    token: Token


class ReadPart(NamedTuple):
    """An HTML part as the milter reads it; `reason` says why it looks no further, else ""."""

    part: Part
    html: bytes
    links: list[Link]
    reason: str


class Page(NamedTuple):
    """The hrefs and the images of an HTML part, in order, as the second reader reads it."""

    hrefs: list[str]
    images: list[str]


class SecondReading(NamedTuple):
    """The HTML parts by their numbers; `fault` says why there is no reading, "" where there is."""

    pages: Mapping[int, Page]
    fault: str = ""


@dataclass(frozen=True)
class ExplainedLink:
    """One link; `own` is what its destination seals, where that is a tracking link of ours."""

    index: int
    part: int
    destination: str
    tracked: bool
    reason: str
    own: Own | None


class Explained(NamedTuple):
    """Everything that can be said of a message file."""

    mail: Mail
    domain: SendingDomain | None
    trial: Trial
    parts: list[ReadPart]
    links: list[ExplainedLink]
    own: list[Own]
    differences: list[str]
    notes: list[str]


def explain(offline: Offline, raw: bytes, second: SecondReading) -> Explained:
    """Say what would be done with a message, and why."""
    mail, notes = offline.read(raw), list(offline.notes)
    if second.fault:
        notes.append(f"the readers are not compared: {second.fault}")
    domain, decision = _decision(offline, mail, notes)
    trial = offline.try_out(mail, decision, domain or stand_in(mail.sending_domain))
    differences: list[str] = []
    try:
        parts = [
            _read_part(part, mail.body, offline.config.milter.conditional_comments)
            for part in find_parts(mail.fields, mail.body, offline.limits(mail))
            if part.content_type == "text/html"
        ]
    except Unreadable as fault:
        parts, links = [], _unread_links(second.pages, trial.minter, fault.reason)
    else:
        links = list(_links(mail, trial, parts))
        differences = [] if second.fault else list(_differences(parts, second.pages))
    images = [src for page in second.pages.values() for src in page.images]
    own = [link.own for link in links if link.own]
    own += [opened for src in images if (opened := open_own(trial.minter, src))]
    return Explained(mail, domain, trial, parts, links, own, differences, notes)


def open_own(minter: TokenMinter, url: str) -> Own | None:
    """Open a tracking link or an open image of ours; None for any other URL."""
    token = minter.maybe_token(url)
    if token is None:
        return None
    kind = Kind.CLICK if token.destination else Kind.OPEN
    return Own(kind, urlsplit(url).hostname or "", token)


def _decision(
    offline: Offline, mail: Mail, notes: list[str]
) -> tuple[SendingDomain | None, Decision]:
    try:
        domain = offline.maybe_domain(mail.sending_domain)
    except StoreFault as fault:
        notes.append(f"as if the domain were verified, with both defaults on: {fault}")
        domain = stand_in(mail.sending_domain)
    return domain, decide(mail.controls.toggles, domain)


def _read_part(part: Part, body: bytes, conditional_comments: bool) -> ReadPart:
    """Read one HTML part as `instrument` does."""
    reason = part.left or ("" if is_byte_safe(part.charset) else Reason.UNSAFE_CHARSET)
    if reason:
        return ReadPart(part, b"", [], reason)
    try:
        content = decode(body[part.start : part.end], part.encoding)
    except Unreadable as fault:
        return ReadPart(part, b"", [], fault.reason)
    found = scan(content, conditional_comments=conditional_comments)
    return ReadPart(part, content, found.links, "")


def _links(mail: Mail, trial: Trial, parts: list[ReadPart]) -> Iterator[ExplainedLink]:
    """Yield every link with what became of it, or with what keeps it as it is."""
    result, index = trial.result, count()
    outcomes = result.links if isinstance(result, Instrumented) else ()
    unsubscribe = envelope.unsubscribe_urls(mail.fields)
    for read in parts:
        decided = [outcome for outcome in outcomes if outcome.part == read.part.number]
        for nth, link in enumerate(read.links):
            target, reason = destination(read.html[link.start : link.end], read.part.charset)
            own, tracked = open_own(trial.minter, target), False
            if nth < len(decided):
                tracked, reason = decided[nth].tracked, decided[nth].reason
            elif not reason:
                reason = _why_left(trial, link.opted_out, target in unsubscribe, own is not None)
            yield ExplainedLink(next(index), read.part.number, target, tracked, reason, own)


def _why_left(trial: Trial, opted_out: bool, unsubscribes: bool, is_own: bool) -> str:
    """Say why a link to the web stays as it is in a message whose links are not tracked."""
    if opted_out:
        return Reason.OPTED_OUT
    if unsubscribes:
        return Reason.UNSUBSCRIBE
    if is_own:
        return Reason.ALREADY_TRACKED
    if not trial.decision.clicks.on:
        return trial.decision.clicks.reason
    # An instrumented message decides about every link but those of parts that it cannot edit.
    return Reason.UNSAFE_CHARSET if isinstance(trial.result, Instrumented) else trial.result.reason


def _unread_links(
    pages: Mapping[int, Page], minter: TokenMinter, reason: str
) -> list[ExplainedLink]:
    """List what the second reader alone has read: the milter does not look into such a message."""
    found = [(part, href) for part, page in pages.items() for href in page.hrefs]
    return [
        ExplainedLink(index, part, href, False, reason, open_own(minter, href))
        for index, (part, href) in enumerate(found)
    ]


def _differences(parts: list[ReadPart], pages: Mapping[int, Page]) -> Iterator[str]:
    """Yield a line for each link, and each part, that one of the two readers does not see."""
    for read in parts:
        page = pages.get(read.part.number)
        if read.reason:
            continue
        if page is None:
            yield f"part {read.part.number} is an HTML part for the milter alone"
        else:
            yield from (f"part {read.part.number}: {text}" for text in _unpaired(read, page))
    for number in pages.keys() - {read.part.number for read in parts}:
        yield f"part {number} is an HTML part for BeautifulSoup alone"


def _unpaired(read: ReadPart, page: Page) -> Iterator[str]:
    """Pair the links of both readers; yield what is left over.

    A value is paired decoded by either rule: html.parser of older Pythons decodes attributes as if
    they were text.
    """
    theirs = Counter(page.hrefs)
    for link in scan(read.html).links:
        written = decoded(read.html[link.start : link.end], read.part.charset)
        values = (followed(decode_attribute(written)), followed(html.unescape(written)))
        value = next((value for value in values if theirs[value] > 0), None)
        if value is not None:
            theirs[value] -= 1
        elif values[0]:
            yield f"only the milter sees {values[0]}"
    yield from (f"only BeautifulSoup sees {value}" for value in theirs.elements())


def decoded(content: bytes, charset: str) -> str:
    """Decode HTML by its declared charset, and by UTF-8 where that is none."""
    try:
        return content.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        return content.decode("utf-8", "replace")


def followed(value: str) -> str:
    """Strip an href as browsers do."""
    return value.strip(_ENDS).translate(_DROPPED)
