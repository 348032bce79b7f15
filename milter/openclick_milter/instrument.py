"""Instruments one message: tracking links and the open image, everything else byte for byte.

Called by `submission` with the header fields and the body that Postfix handed over, and by
`openclick instrument`.  Pure: bytes in, decision out.

Promises: the result differs from the input only inside the edits it lists, so `undo` gives the
original back; HTML is never parsed and re-serialised; the MIME structure, charsets and transfer
encodings stay; an ambiguous structure leaves the whole message alone, an HTML part whose content
cannot be read leaves that part alone, each with a reason.

Limits: exceptions come only from `checkpoint` and from the minter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from openclick_milter.destinations import destination, is_byte_safe
from openclick_milter.links import EndedIn, Link, Scan, scan
from openclick_milter.outcomes import ImageOutcome, Instrumented, LinkOutcome, Plan, Untouched
from openclick_milter.parts import (
    Limits,
    Part,
    find_parts,
    header_bytes,
    header_refusal,
    hides_html,
)
from openclick_milter.reasons import Reason, Unreadable, UnreadablePart
from openclick_milter.splice import (
    IDENTITY,
    Change,
    Edit,
    LineRoom,
    apply,
    decode,
    decode_unchecked,
    splice,
    undo,
)

__all__ = [
    "Edit",
    "ImageOutcome",
    "Instrumented",
    "Limits",
    "LinkOutcome",
    "Minter",
    "Plan",
    "Request",
    "Untouched",
    "instrument",
    "plan",
    "undo",
]

MAX_LINKS = 65_536
"""A link's index is two bytes of its token."""

_LINKS_PER_CHECKPOINT = 64
_PGP = b"-----BEGIN PGP "
_PGP_LINE = re.compile(rb"^" + _PGP, re.MULTILINE)
# In HTML a line begins after a tag as well; which tag, only a tree would tell.
_PGP_LINE_IN_HTML = re.compile(rb"(?:^|>)[ \t]*" + _PGP, re.MULTILINE)
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_ESCAPE = b"\x1b"
# The two paths of a tracking URL (docs: tokens); the minter says whether the token is one of ours.
_MAYBE_OWN = re.compile(rb"https?://[^\s\"'<>/]{1,300}/[co]/[A-Za-z0-9_-]{20,2000}")


class Minter(Protocol):
    """Makes tracking URLs; knows the key, the tracking domain and the ids of this message.

    Its URLs are printable ASCII without blank, `&`, `=`, `<`, `>` and quotes, so that they stand in
    any attribute and any transfer encoding as they are.
    """

    def link_urls(self, links: Sequence[tuple[int, str]]) -> list[str | None]:
        """Seal destinations, each as the link of its index.

        None stands where the URL would pass 2,000 characters.
        """

    def image_url(self) -> str:
        """Seal the open image."""

    def is_own(self, url: str) -> bool:
        """Tell whether `url` is a tracking link or open image of ours: our key opens its token."""


@dataclass(frozen=True)
class Request:
    """What is wanted for one message.

    `unsubscribe_urls` are the targets of List-Unsubscribe; `signed_ok` instruments a message
    although it carries a DKIM-Signature.
    """

    opens: bool
    clicks: bool
    unsubscribe_urls: frozenset[str] = frozenset()
    conditional_comments: bool = False
    signed_ok: bool = False


def instrument(
    headers: Sequence[tuple[str, str]],
    body: bytes,
    request: Request,
    minter: Minter,
    limits: Limits,
    checkpoint: Callable[[], None],
) -> Instrumented | Untouched:
    """Track the links of a message and place the open image, or say why not; see `plan`."""
    planned = plan(headers, body, request, minter, limits, checkpoint)
    if isinstance(planned, Untouched):
        return planned
    return Instrumented(
        planned.links,
        planned.image,
        planned.edits,
        planned.own_urls,
        planned.left_parts,
        apply(body, planned.edits),
    )


def plan(
    headers: Sequence[tuple[str, str]],
    body: bytes,
    request: Request,
    minter: Minter,
    limits: Limits,
    checkpoint: Callable[[], None],
) -> Plan | Untouched:
    """Decide what is to be changed in a message, or say why nothing.

    `headers` are the top-level fields in their order, `body` has CRLF or bare LF line ends.
    `checkpoint` is called between parts and every few links; what it raises passes through.
    """
    try:
        _check_message(headers, body, request, limits)
        parts = _html_parts(find_parts(headers, body, limits, checkpoint), body)
        work = _Work(body, request, minter, limits, checkpoint)
        for part in parts:
            work.add(part)
        return work.result()
    except Unreadable as fault:
        return Untouched(fault.reason)


def refused_by_header(headers: Sequence[tuple[str, str]], request: Request, limits: Limits) -> str:
    """Say from its header why a message will stay untouched, "" where its body has to be seen.

    Asked at the end of the headers, so that Postfix need not hand the body over for nothing.
    """
    if not request.opens and not request.clicks:
        return Reason.NOTHING_ASKED
    if not request.signed_ok and any(name.lower() == "dkim-signature" for name, _ in headers):
        return Reason.DKIM_SIGNED
    if header_bytes(headers) > limits.max_top_header_bytes:
        return Reason.HEADER_TOO_LONG
    return header_refusal(headers)


def _check_message(
    headers: Sequence[tuple[str, str]], body: bytes, request: Request, limits: Limits
) -> None:
    """Refuse what can be refused without looking at the body.  Raises Unreadable."""
    refusal = refused_by_header(headers, request, limits)
    if refusal:
        raise Unreadable(refusal)
    if len(body) > limits.max_message_bytes:
        raise Unreadable(Reason.MESSAGE_TOO_LARGE)


def _html_parts(parts: list[Part], body: bytes) -> list[Part]:
    """Pick the parts to instrument.  Raises Unreadable where there is none, or inline PGP."""
    html = [part for part in parts if part.content_type == "text/html" and not part.left]
    if not html:
        telling = (part.left for part in parts if hides_html(part.content_type, part.left))
        raise Unreadable(next(telling, Reason.NO_HTML))
    for part in parts:
        if part.content_type.startswith("text/") and part not in html and not part.left:
            _refuse_pgp(_text(part, body), _PGP_LINE)
    return html


def _text(part: Part, body: bytes) -> bytes:
    """Return the content of a text part, decoded where it could hold inline PGP."""
    raw = body[part.start : part.end]
    if part.encoding != "base64" and b"BEGIN" not in raw:
        return b""
    try:
        return decode(raw, part.encoding)
    except Unreadable:
        return raw


def _refuse_pgp(text: bytes, line: re.Pattern[bytes]) -> None:
    """Raise Unreadable where a line opens inline PGP, which any change would break."""
    # A short word is looked for in half the time.
    if b"BEGIN" in text and _PGP in text and line.search(text):
        raise Unreadable(Reason.INLINE_PGP)


class _Work:
    """What is done to one message, part by part."""

    def __init__(
        self,
        body: bytes,
        request: Request,
        minter: Minter,
        limits: Limits,
        checkpoint: Callable[[], None],
    ) -> None:
        self._body = body
        self._request = request
        self._minter = minter
        self._limits = limits
        self._checkpoint = checkpoint
        self._newline = b"\n" if b"\n" in body and b"\r\n" not in body else b"\r\n"
        self._links: list[LinkOutcome] = []
        self._image = None if request.opens else ImageOutcome(False, Reason.OPENS_OFF)
        self._edits: list[Edit] = []
        self._own: list[str] = []
        self._left_parts: list[tuple[int, str]] = []

    def add(self, part: Part) -> None:
        """Instrument one HTML part, or leave it where it cannot be read.  Raises Unreadable."""
        self._checkpoint()
        raw = self._body[part.start : part.end]
        links, image = len(self._links), self._image
        try:
            self._edits += self._part_edits(part, raw)
        except UnreadablePart as fault:
            _refuse_pgp(raw, _PGP_LINE_IN_HTML)
            # Illegal quoted-printable is come across last, when all has been decided.
            del self._links[links:]
            self._image = image
            self._left_parts.append((part.number, fault.reason))

    def _part_edits(self, part: Part, raw: bytes) -> list[Edit]:
        """Return the edits of one part.  Raises UnreadablePart for this part, else Unreadable."""
        html = decode_unchecked(raw, part.encoding)
        _refuse_pgp(html, _PGP_LINE_IN_HTML)
        reason = _uneditable(html, part.charset)
        if reason:
            raise UnreadablePart(reason)
        found = self._scan(html)
        self._own += self._own_urls(html)
        changes: list[Change] = []
        if self._request.clicks:
            changes += self._link_changes(part, raw, html, found.links)
        if self._image is None:
            changes = self._with_image(part, raw, html, found, changes)
        return splice(raw, html, part.encoding, changes, part.start, self._newline)

    def result(self) -> Plan | Untouched:
        """Return the edits.  Raises Unreadable where the message would grow too large."""
        why_left = self._left_parts[0][1] if self._left_parts else ""
        image = self._image or ImageOutcome(False, why_left)
        if not self._edits:
            return Untouched(why_left or self._nothing_done(image))
        growth = sum(len(edit.replacement) - len(edit.original) for edit in self._edits)
        if len(self._body) + growth > self._limits.max_message_bytes:
            raise Unreadable(Reason.GROWN_TOO_LARGE)
        return Plan(
            tuple(self._links),
            image,
            tuple(self._edits),
            tuple(self._own),
            tuple(self._left_parts),
        )

    def _nothing_done(self, image: ImageOutcome) -> str:
        return image.reason if self._request.opens else Reason.NOTHING_TO_DO

    def _scan(self, html: bytes) -> Scan:
        most = MAX_LINKS - len(self._links)
        found = scan(
            html,
            conditional_comments=self._request.conditional_comments,
            most_links=most,
            checkpoint=self._checkpoint,
        )
        if len(found.links) >= most:
            raise Unreadable(Reason.TOO_MANY_LINKS)
        return found

    def _own_urls(self, html: bytes) -> Iterator[str]:
        """Yield the URLs of ours in a part; where clicks are on, `_left` comes across the links."""
        if b"/o/" in html or (not self._request.clicks and b"/c/" in html):
            for match in _MAYBE_OWN.finditer(html):
                self._checkpoint()
                url = match[0].decode("ascii", "replace")
                if self._minter.is_own(url):
                    yield url

    def _link_changes(
        self, part: Part, raw: bytes, html: bytes, links: list[Link]
    ) -> Iterator[Change]:
        """Decide about each link; yield the changes for those that are tracked."""
        room = LineRoom(raw, self._limits.line_bytes) if part.encoding in IDENTITY else None
        for first in range(0, len(links), _LINKS_PER_CHECKPOINT):
            self._checkpoint()
            some = links[first : first + _LINKS_PER_CHECKPOINT]
            for link, target, url, reason in self._sealed(some, html, part.charset):
                fits = not (url and room) or room.take(link.start, link.end, len(url))
                if url and fits:
                    yield Change(link.start, link.end, url.encode("ascii"))
                why = reason if fits else Reason.LINE_TOO_LONG
                self._links.append(LinkOutcome(len(self._links), part.number, target, not why, why))

    def _sealed(
        self, links: list[Link], html: bytes, charset: str
    ) -> Iterator[tuple[Link, str, str | None, str]]:
        """Yield each link with its destination, and its tracking URL or the reason for none."""
        first = len(self._links)
        targets, reasons = [], []
        for link in links:
            target, reason = destination(html[link.start : link.end], charset)
            targets.append(target)
            reasons.append(reason or self._left(link, target))
        wanted = [
            (first + place, targets[place]) for place, reason in enumerate(reasons) if not reason
        ]
        urls = iter(self._minter.link_urls(wanted))
        for link, target, reason in zip(links, targets, reasons, strict=True):
            url = None if reason else next(urls)
            yield link, target, url, reason or ("" if url else Reason.TOO_LONG)

    def _left(self, link: Link, target: str) -> str:
        """Say why a link to the web is left alone, "" where it is not."""
        if link.opted_out:
            return Reason.OPTED_OUT
        if target in self._request.unsubscribe_urls:
            return Reason.UNSUBSCRIBE
        if not self._minter.is_own(target):
            return ""
        self._own.append(target)
        return Reason.ALREADY_TRACKED

    def _with_image(
        self, part: Part, raw: bytes, html: bytes, found: Scan, changes: list[Change]
    ) -> list[Change]:
        """Add the open image to a part's changes, where it has a place."""
        image = b'<img src="%b" width="1" height="1" alt="">' % self._minter.image_url().encode()
        size = len(html) + len(image) + sum(len(c.new) - (c.end - c.start) for c in changes)
        place, reason = _image_place(html, found, clipped=size > self._limits.clip_bytes)
        self._image = ImageOutcome(place is not None, reason)
        if place is None:
            return changes
        both = sorted((*changes, Change(place, place, image)))
        if part.encoding in IDENTITY:
            room = LineRoom(raw, self._limits.line_bytes)
            if not all(room.take(c.start, c.end, len(c.new)) for c in both):
                image = self._newline + image + self._newline
                both = sorted((*changes, Change(place, place, image)))
        return both


def _uneditable(html: bytes, charset: str) -> str:
    """Say why a part cannot be edited byte by byte, "" where it can."""
    if not html.strip():
        return Reason.EMPTY_HTML
    if not is_byte_safe(charset) or html.startswith(_BYTE_ORDER_MARKS) or _ESCAPE in html:
        return Reason.UNSAFE_CHARSET
    return ""


def _image_place(html: bytes, found: Scan, *, clipped: bool) -> tuple[int | None, Reason]:
    """Return the offset for the open image, None for nowhere, and why there.

    `clipped`: the part is so long that Gmail would not show its end.
    """
    if clipped or found.ended_in is not EndedIn.TEXT:
        reason = Reason.NO_BODY_TAG if found.after_body_start is None else Reason.AFTER_BODY_START
        return found.after_body_start, reason
    if found.last_body_end is not None:
        return found.last_body_end, Reason.BEFORE_BODY_END
    if found.last_html_end is not None:
        return found.last_html_end, Reason.BEFORE_HTML_END
    return len(html.rstrip()), Reason.AT_END
