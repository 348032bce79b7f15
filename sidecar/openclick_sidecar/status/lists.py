"""What the lists of the status page are made of: tables, facts, what is left out.

Used by `page`, `domains` and `tables`.  Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from openclick_sidecar.status.markup import Markup, tag
from openclick_sidecar.status.room import clip
from openclick_sidecar.status.words import number

MOST_NAME = 253
"""Characters of a name: those of the longest domain name."""
MOST_WORDS = 200
"""Characters of a sentence from outside, such as what a CA has answered."""
MOST_LABEL = 80
"""Characters of what people name, such as a webhook."""


def table_row(cells: Sequence[object]) -> Markup:
    """Return one row."""
    return tag("tr", *(tag("td", cell) for cell in cells))


def table(heads: Sequence[str], rows: Sequence[Markup], style: str) -> Markup:
    """Return a table, whose style says how it is folded up on a narrow screen."""
    return tag(
        "div",
        tag(
            "table",
            tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
            tag("tbody", list(rows)),
            class_=f"list {style}",
        ),
        class_="wide",
    )


def more(left_out: Sequence[object], command: str) -> Markup | None:
    """Return how many entries are left out, and which command has them all; None for none."""
    if not left_out:
        return None
    return tag("p", f"{number(len(left_out))} more: ", tag("code", command), class_="note")


def fact(name: str, *value: object) -> Markup:
    """Return a name and its value."""
    return tag("div", tag("dt", name), tag("dd", *value))


def failure(text: str) -> Markup:
    """Return why something failed."""
    return tag("span", clip(text, MOST_WORDS), class_="failure")
