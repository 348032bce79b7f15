"""Writes HTML and SVG so that whatever comes from outside is text.

Used by the modules of this package.  Pure.  Promise: only what `tag` has made is markup; every
other string is escaped, in text and in attributes.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_WITHOUT_END = frozenset({"meta", "link", "input", "br"})
_OF_SVG = frozenset({"path", "rect", "line"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(element: str, /, *children: object, **attributes: object) -> Markup:
    """Return one element.

    A child is text, markup, a sequence of these, or None for nothing.  An attribute's name has _
    for - and may end in one (`class_`); None and False leave it out, True has no value.
    """
    inside = join(children)
    start = f"<{element}{''.join(map(_attribute, attributes.items()))}"
    if element in _WITHOUT_END:
        return Markup(f"{start}>")
    if element in _OF_SVG and not inside:
        return Markup(f"{start}/>")
    return Markup(f"{start}>{inside}</{element}>")


def join(children: Iterable[object]) -> Markup:
    """Return children one after another, escaped where they are no markup."""
    return Markup("".join(map(_child, children)))


def raw(text: str) -> Markup:
    """Take a constant of ours as it is: a style sheet, an icon."""
    return Markup(text)


def _child(child: object) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, list | tuple):
        return join(child)
    return escape(str(child), quote=False)


def _attribute(item: tuple[str, object]) -> str:
    name, value = item[0].rstrip("_").replace("_", "-"), item[1]
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
