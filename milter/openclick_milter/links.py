"""Finds the links of an HTML document, and the places where an open image can stand, as offsets.

Called by `instrument` with the decoded bytes of one HTML part.  Promises: it finds the `href`
values that a WHATWG tokenizer finds in `a` and `area` start tags, no other; it never looks inside
comments (Outlook's conditional ones apart, where that is asked for), CDATA, script, style and other
raw text; time is linear and memory modest, whatever the input.  The bytes are never decoded as a
whole, so stray bytes in any ASCII-compatible charset pass.

Source: WHATWG HTML, 13.2.5 (tokenization).  One pattern jumps over everything that is no link, in
bounded steps, because `re` keeps a frame for each turn of a loop.  Groups are atomic, `(?>...)`:
possessive quantifiers silently match nothing on Python 3.11.2, and backtracking would be quadratic.

Limits: there is no tree, so what depends on it is approximated: `noscript` and `template` are
markup (mail clients run no scripts), raw text elements are raw inside svg and math too, and
`<![CDATA[` after an svg or math tag is skipped to its end (links in it stay as they are).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from openclick_milter.attributes import decode_attribute

_SPACE = rb"[\t\n\f\r ]"
_BETWEEN = rb"[\t\n\f\r /]*"
_NAME_END = rb"[\t\n\f\r />]"

# An attribute: a name, which may open with "=", and perhaps a value.  A quote that is never closed
# runs to the end of the input; "/" belongs to an unquoted value; `href=>` is an empty value.
_ATTRIBUTE = (
    rb"(?>" + _BETWEEN + rb"[^\t\n\f\r />][^\t\n\f\r />=]*"
    rb"(?>" + _SPACE + rb"*=" + _SPACE + rb"*"
    rb"(?>\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z)|[^\t\n\f\r >\"'][^\t\n\f\r >]*|(?=>)|\Z))?)"
)
_ATTRIBUTES = rb"(?>" + _ATTRIBUTE + rb"{0,50})"
# Nearly all attributes in mail have this form; with it a document takes a sixth less time.
_PLAIN_ATTRIBUTE = rb"[\t\n\f\r ]+[A-Za-z-]+=\"[^\"]*\""
_REST_OF_TAG = rb"(?>(?:" + _PLAIN_ATTRIBUTE + rb"){0,50})(?>>|" + _ATTRIBUTES + _BETWEEN + rb">)"


def _any_case(*words: str) -> bytes:
    """Return a pattern for any of `words`: classes, because re.IGNORECASE is slower.

    What begins alike is one branch, so that most tags are told apart by their first letter.
    """
    rests: dict[str, list[str]] = {}
    for word in words:
        rests.setdefault(word[:1], []).append(word[1:])
    branches = [
        f"[{letter}{letter.upper()}]".encode("ascii") + _any_case(*rest) if letter else b""
        for letter, rest in rests.items()
    ]
    return branches[0] if len(branches) == 1 else b"(?:" + b"|".join(branches) + b")"


_RAW_TEXT = ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes")
_STOP_START = _any_case("a", "area", "body", "plaintext", *_RAW_TEXT) + _NAME_END
# VML draws the buttons of mail for Outlook; any of its shapes can be a link (v:roundrect, v:rect).
_SHAPE = rb"[vV]:(?>[A-Za-z]+)"
_STOP_END = _any_case("body", "html") + _NAME_END

_COMMENT = rb"<!--(?>-?>|(?s:.*?)--!?>)"
_BOGUS_COMMENT = rb"<(?>!(?!--|\[CDATA\[)|\?|/[^A-Za-z>])[^>]*>"
# Likewise for whole tags, start and end, each with the text behind it.
_TEXT = rb"[^<]*"
_PLAIN_END_TAG = rb"</(?!" + _STOP_END + rb")[A-Za-z][A-Za-z0-9]*>"


def _plain_tag(stop_start: bytes) -> bytes:
    """Return the pattern of a start tag to jump over that has nothing but plain attributes."""
    name = rb"<(?!" + stop_start + rb")[A-Za-z][A-Za-z0-9]*"
    return name + rb"(?>(?:" + _PLAIN_ATTRIBUTE + rb"){0,50})>"


def _tag(stop_start: bytes) -> bytes:
    """Return the pattern of a tag to jump over: any but those that `stop_start` names."""
    opening = rb"<(?>/(?!" + _STOP_END + rb")|(?!" + stop_start + rb"))[A-Za-z]"
    return opening + rb"(?>[^\t\n\f\r />]*)" + _REST_OF_TAG


_LONE = rb"<(?![A-Za-z/!?])|</>"

# The rest of a link's start tag; the groups are the three forms of its first href's value.
# Behind the attributes before it stands that href, perhaps without a value, or the tag's end: where
# the step of 50 ends at another attribute, an href may still follow, and the tag needs a look.
_HREF = _any_case("href")
_HREF_AHEAD = _BETWEEN + _HREF + rb"[\t\n\f\r />=]"
_LINK_NAMES = rb"[aA](?:[rR][eE][aA])?"
_IN_LINK = (
    rb"(?=" + _NAME_END + rb")"
    rb"(?>(?:(?!" + _HREF_AHEAD + rb")" + _ATTRIBUTE + rb"){0,50})"
    rb"(?>" + _BETWEEN + _HREF + _SPACE + rb"*=" + _SPACE + rb"*"
    rb"(?>\"([^\"]*)\"|'([^']*)'|([^\t\n\f\r >\"'][^\t\n\f\r >]*))"
    rb"|(?=" + _BETWEEN + rb">|" + _HREF_AHEAD + rb"))" + _REST_OF_TAG
)


def _jump(names: bytes, stop_start: bytes, *skipped: bytes) -> re.Pattern[bytes]:
    """Compile the pattern that jumps to the next link, a tag of one of `names`.

    It jumps over all tags but those that `stop_start` names.  Group 5: a place that needs a look.
    """
    tags = (_PLAIN_END_TAG, _plain_tag(stop_start), _tag(stop_start))
    units = rb"|".join((*(tag + _TEXT for tag in tags), rb"[^<]+", *skipped, _BOGUS_COMMENT, _LONE))
    link = rb"<(?:" + names + rb")" + _IN_LINK
    return re.compile(rb"(?>(?>" + units + rb"){0,500})(?:(" + link + rb")|(<))?")


_JUMP = _jump(_LINK_NAMES, _STOP_START, _COMMENT)
_JUMP_STOPPING_AT_COMMENTS = _jump(_LINK_NAMES, _STOP_START)
_JUMP_IN_CONDITIONAL = _jump(
    _LINK_NAMES + rb"|" + _SHAPE,
    rb"(?:" + _STOP_START + rb"|" + _SHAPE + _NAME_END + rb")",
    _COMMENT,
)
_TAG_NAME = re.compile(rb"<(/?)[A-Za-z][^\t\n\f\r />]*")
_MORE_ATTRIBUTES = re.compile(_ATTRIBUTES + _BETWEEN + rb"(>)?")
_COMMENT_TOKEN = re.compile(_COMMENT)
_NO_TAG = re.compile(_BOGUS_COMMENT + rb"|" + _LONE)
_CONDITIONAL = re.compile(rb"<!--\[if[^\]>]*\]>((?s:.*))<!\[endif\]--!?>", re.IGNORECASE)
_FOREIGN = re.compile(rb"<(?:svg|math)" + _NAME_END, re.IGNORECASE)
_RAW_TEXT_END = {
    name.encode("ascii"): re.compile(rb"</" + _any_case(name) + _NAME_END) for name in _RAW_TEXT
}
# What moves between the states of a script: "<!--" that closes at once, "-->", "<!--", its tags.
_SCRIPT_STEP = re.compile(
    rb"(?P<closed><!--+>|-->)|(?P<opened><!--)|<(?P<slash>/?)" + _any_case("script") + _NAME_END
)
_SINGLE_ATTRIBUTE = re.compile(
    _BETWEEN + rb"([^\t\n\f\r />][^\t\n\f\r />=]*)"
    rb"(?>" + _SPACE + rb"*=" + _SPACE + rb"*"
    rb"(?>\"([^\"]*)\"|'([^']*)'|([^\t\n\f\r >\"'][^\t\n\f\r >]*)|(?=>)))?"
)

_OPT_OUTS: dict[bytes, frozenset[str] | None] = {
    b"data-openclick": frozenset({"off"}),
    b"clicktracking": frozenset({"off"}),
    b"data-pm-no-track": None,
    b"disable-tracking": frozenset({"true"}),
    b"ses:no-track": None,
    b"data-msys-clicktrack": frozenset({"0"}),
    b"mc:disable-tracking": None,
}
"""Attributes that keep a link as it is (ours, then other vendors'); None: whatever the value."""


_LONGEST_NAME = len("plaintext") + 1
_LINK_GROUP, _VALUE_GROUPS, _LOOK_GROUP = 1, (2, 3, 4), 5


class EndedIn(StrEnum):
    """What was open when the input ended, so that markup appended there would be swallowed."""

    TEXT = "text"
    TAG = "tag"
    COMMENT = "comment"
    RAW_TEXT = "raw text"


class Link(NamedTuple):
    """The value of one href, from `start` to `end` without its quotes."""

    start: int
    end: int
    opted_out: bool


@dataclass
class Scan:
    """What was found; places are offsets, None where there is none."""

    links: list[Link] = field(default_factory=list)
    after_body_start: int | None = None
    last_body_end: int | None = None
    last_html_end: int | None = None
    ended_in: EndedIn = EndedIn.TEXT


def scan(
    html: bytes,
    *,
    conditional_comments: bool = False,
    most_links: int = 65_536,
    checkpoint: Callable[[], None] = lambda: None,
) -> Scan:
    """Find the links of `html`; `conditional_comments`: those in `<!--[if …]>` comments too.

    In these a shape of VML is a link like `a`, since Outlook draws buttons with it.

    Stops early once there are `most_links`.  `checkpoint` is called every few hundred tokens; what
    it raises passes through.
    """
    jump = _JUMP_STOPPING_AT_COMMENTS if conditional_comments else _JUMP
    scanner = _Scanner(html, jump, most_links, checkpoint)
    scanner.run(0, len(html))
    return scanner.result


def attributes(tag: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name in lower case and range of the value of each attribute of a complete `tag`."""
    name = _TAG_NAME.match(tag)
    position = name.end() if name else 0
    while match := _SINGLE_ATTRIBUTE.match(tag, position):
        start, end = match.span(match.lastindex or 1)
        yield match[1].lower(), end if match.lastindex == 1 else start, end
        position = match.end()


class _Scanner:
    """One pass over one document, or over the inside of a conditional comment."""

    def __init__(
        self,
        html: bytes,
        jump: re.Pattern[bytes],
        most_links: int,
        checkpoint: Callable[[], None],
    ) -> None:
        self.result = Scan()
        self._html = html
        self._end = len(html)
        self._jump = jump
        self._most_links = most_links
        self._checkpoint = checkpoint
        self._foreign = False
        self._searched_for_foreign = 0

    def run(self, position: int, end: int) -> None:
        """Scan from `position` to `end`."""
        html, links, self._end = self._html, self.result.links, end
        self._searched_for_foreign = position
        jump = self._jump.match
        turns = 0
        while position < end and len(links) < self._most_links:
            match = jump(html, position, end)
            assert match is not None, "every part of the pattern is optional"
            position = match.end()
            if match.lastindex == _LINK_GROUP:
                self._link(match)
            elif match.lastindex == _LOOK_GROUP:
                position = self._look(position - 1)
            turns += 1
            if not turns % 256:
                self._checkpoint()

    def _link(self, match: re.Match[bytes]) -> None:
        """Keep the link of an `a` or `area` tag, where it has an href with a value."""
        for group in _VALUE_GROUPS:
            start, end = match.span(group)
            if start >= 0:
                tag = match[_LINK_GROUP]
                self.result.links.append(Link(start, end, _opted_out(tag)))
                return

    def _look(self, position: int) -> int:
        """Deal with what stands at `position`, a "<"; return where to go on."""
        html = self._html
        if name := _TAG_NAME.match(html, position, self._end):
            start = name.end(1)
            known = html[start : min(name.end(), start + _LONGEST_NAME)].lower()
            return self._tag(position, name.end(), bool(name[1]), known)
        if html.startswith(b"<!--", position, self._end):
            return self._comment(position)
        if html.startswith(b"<![CDATA[", position, self._end):
            return self._cdata(position)
        if no_tag := _NO_TAG.match(html, position, self._end):
            return no_tag.end()  # nothing but the step of the pattern ended before it
        # "<!", "<?" and "</" open a comment that ran into the end of the input.
        return self._ended(EndedIn.COMMENT)

    def _tag(self, start: int, after_name: int, is_end_tag: bool, name: bytes) -> int:
        """Deal with a tag that the pattern did not jump over: one to note, or one too long."""
        after = self._after_tag(after_name)
        if after is None:
            return self._ended(EndedIn.TAG)
        if is_end_tag:
            self._note_end_tag(name, start)
        elif name == b"body" and self.result.after_body_start is None:
            self.result.after_body_start = after
        elif name in (b"a", b"area") or (
            self._jump is _JUMP_IN_CONDITIONAL and name.startswith(b"v:")
        ):
            self._long_link(start, after)
        elif name in _RAW_TEXT_END or name == b"plaintext":
            return self._raw_text(name, after)
        return after

    def _note_end_tag(self, name: bytes, start: int) -> None:
        if name == b"body":
            self.result.last_body_end = start
        elif name == b"html":
            self.result.last_html_end = start

    def _after_tag(self, position: int) -> int | None:
        """Return the offset after the tag's ">"; None where the input ends inside the tag."""
        while True:
            match = _MORE_ATTRIBUTES.match(self._html, position, self._end)
            assert match is not None, "every part of the pattern is optional"
            position = match.end()
            if match[1]:
                return position
            if position >= self._end:
                return None

    def _long_link(self, start: int, after: int) -> None:
        """Keep the link of a tag with more attributes than the pattern takes."""
        tag = self._html[start:after]
        for name, value_start, value_end in attributes(tag):
            if name == b"href":
                link = Link(start + value_start, start + value_end, _opted_out(tag))
                self.result.links.append(link)
                return

    def _comment(self, position: int) -> int:
        """Step over a comment; look into a conditional one where that is wanted."""
        match = _COMMENT_TOKEN.match(self._html, position, self._end)
        if match is None:
            return self._ended(EndedIn.COMMENT)
        inside = _CONDITIONAL.fullmatch(self._html, match.start(), match.end())
        if inside and self._jump is _JUMP_STOPPING_AT_COMMENTS:
            most = self._most_links - len(self.result.links)
            scanner = _Scanner(self._html, _JUMP_IN_CONDITIONAL, most, self._checkpoint)
            scanner.run(*inside.span(1))
            self.result.links += scanner.result.links
        return match.end()

    def _cdata(self, position: int) -> int:
        """Step over `<![CDATA[`: a section in svg and math, elsewhere a comment up to ">"."""
        foreign = self._foreign_before(position)
        end = self._html.find(b"]]>" if foreign else b">", position, self._end)
        if end < 0:
            return self._ended(EndedIn.RAW_TEXT if foreign else EndedIn.COMMENT)
        return end + (3 if foreign else 1)

    def _foreign_before(self, position: int) -> bool:
        """Tell whether an svg or math tag stands before `position`; each byte is searched once."""
        if not self._foreign:
            found = _FOREIGN.search(self._html, self._searched_for_foreign, position)
            self._foreign, self._searched_for_foreign = found is not None, position
        return self._foreign

    def _raw_text(self, name: bytes, position: int) -> int:
        """Return the offset of the end tag that closes the element `name`."""
        if name == b"script":
            end = _script_end(self._html, position, self._end)
        elif name == b"plaintext":
            end = None
        else:
            match = _RAW_TEXT_END[name].search(self._html, position, self._end)
            end = match.start() if match else None
        return self._ended(EndedIn.RAW_TEXT) if end is None else end

    def _ended(self, inside: EndedIn) -> int:
        self.result.ended_in = inside
        return self._end


def _script_end(html: bytes, position: int, end: int) -> int | None:
    """Return the offset of the `</script>` that closes a script, None where there is none.

    After `<!--` a script is escaped; there `<script>` opens an inner one, whose `</script>` closes
    but itself, until `-->` ends both (13.2.5.15-31, script data (double) escaped states).
    """
    escaped = inner = False
    for step in _SCRIPT_STEP.finditer(html, position, end):
        if step["closed"]:
            escaped = inner = False
        elif step["opened"]:
            escaped = True
        elif not step["slash"]:
            inner = escaped
        elif inner:
            inner = False
        else:
            return step.start()
    return None


def _opted_out(tag: bytes) -> bool:
    """Tell whether a start tag carries one of the opt-out attributes."""
    lower = tag.lower()
    if b"track" not in lower and b"openclick" not in lower:
        return False
    return any(
        name in _OPT_OUTS and _is_opt_out(_OPT_OUTS[name], tag[start:end])
        for name, start, end in attributes(tag)
    )


def _is_opt_out(values: frozenset[str] | None, found: bytes) -> bool:
    if values is None:
        return True
    return decode_attribute(found.decode("ascii", "replace")).strip().lower() in values
