"""Writes man(7): text that no letter of can be taken for a request, and the few macros we need.

Called by `manpages`.  Pure.  Promise: what comes out has no warning of `mandoc -T lint`.  Limits:
knows as much Markdown as the pages' own words have: backticks, links, bold.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

_COLUMNS = 78
_INLINE = re.compile(r"`([^`]+)`|\[([^\]]+)\]\([^)]*\)|\*\*([^*]+)\*\*")


def escaped(text: str) -> str:
    """Return text whose backslashes and hyphens mean themselves, in fonts and in copied options."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti")
    text = text.replace("^", "\\(ha").replace("`", "\\(ga").replace("'", "\\(aq")
    return "".join(letter if ord(letter) < 128 else f"\\[u{ord(letter):04X}]" for letter in text)


def marked(text: str) -> str:
    """Return words with their Markdown as fonts: code and bold in bold, links as their text."""
    out, at = "", 0
    for match in _INLINE.finditer(text):
        bold = match[1] or match[3]
        out += escaped(text[at : match.start()])
        out += f"\\fB{escaped(bold)}\\fR" if bold else marked(match[2])
        at = match.end()
    return out + escaped(text[at:])


def head(name: str, number: int, date: str, version: str) -> str:
    """Return the title line of a page."""
    return f'.TH {name.upper()} {number} "{date}" "OpenClick {version}" "OpenClick"\n'


def section(title: str, *blocks: str) -> str:
    """Return a section; the first of its blocks needs no paragraph mark."""
    body = "".join(blocks)
    return f'.SH "{title}"\n{body.removeprefix(".PP" + chr(10))}'


def subsection(title: str, *blocks: str) -> str:
    """Return a part of a section."""
    body = "".join(blocks)
    return f'.SS "{escaped(title)}"\n{body.removeprefix(".PP" + chr(10))}'


def paragraph(text: str) -> str:
    """Return a paragraph of Markdown words, a sentence a line."""
    return f".PP\n{_filled(text)}"


def entry(label: str, text: str) -> str:
    """Return a labelled paragraph; the label is Markdown too."""
    return f".TP\n{_guarded(marked(label))}\n{_filled(text)}"


def literal(lines: Iterable[str]) -> str:
    """Return lines as they stand."""
    body = "".join(f"{_guarded(escaped(line))}\n" for line in lines)
    return f".PP\n.nf\n{body}.fi\n"


def page(parts: Sequence[str], origin: str) -> str:
    """Return a whole page; `origin` says where it is made from."""
    return f'.\\" Written by `make docs` from {origin}; edit that instead.\n' + "".join(parts)


def _filled(text: str) -> str:
    sentences = re.split(r"(?<=[.?!:])\s+(?=[A-Z`\"])", " ".join(text.split()))
    lines = [
        line
        for sentence in sentences
        for line in textwrap.wrap(
            marked(sentence), _COLUMNS, break_long_words=False, break_on_hyphens=False
        )
    ]
    return "".join(f"{_guarded(line)}\n" for line in lines)


def _guarded(line: str) -> str:
    """Keep a line from being taken for a request."""
    return f"\\&{line}" if line.startswith(".") else line
