"""Lists as Postfix writes them: milters with braces, networks with brackets, restrictions.

Called by `postfix_plan` and `postfix_split`; pure.  Promise: `packed` gives the same list without a
blank, which is the only form that `postconf -P` takes.
"""

from __future__ import annotations

import ipaddress
import re

from openclick.option_kinds import IPNetwork

_BLANKS = re.compile(r"[\s,]+")
_MAPPED_LOOPBACK = ipaddress.IPv6Network("::ffff:127.0.0.0/104")


def elements(text: str) -> list[str]:
    """Split a list at commas and blanks, but not inside braces."""
    found, depth, current = [], 0, ""
    for letter in text:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth == 0 and (letter.isspace() or letter == ","):
            found.append(current)
            current = ""
        else:
            current += letter
    return [element for element in [*found, current] if element]


def packed(text: str) -> str:
    """Return a list without blanks; Postfix reads a comma as it reads a blank.

    Blanks at braces and at the equals sign of an attribute carry no meaning and go.
    """
    text = _BLANKS.sub(",", text.strip())
    text = re.sub(r",*=,*", "=", text)
    return re.sub(r"\{,*", "{", re.sub(r",*\}", "}", text)).strip(",")


def endpoint(element: str) -> str:
    """Return where a milter of a list is reached: the element without braces and attributes."""
    inner = elements(element[1:-1] if element.startswith("{") else element)
    return inner[0] if inner else ""


def networks(text: str) -> tuple[list[IPNetwork], list[str]]:
    """Read mynetworks: its literal networks, and the patterns that are none (tables, exclusions).

    A host part is cut off, as Postfix itself refuses one.
    """
    literal: list[IPNetwork] = []
    others = []
    for element in elements(text):
        try:
            bare = element.replace("[", "").replace("]", "")
            literal.append(ipaddress.ip_network(bare))
        except ValueError:
            others.append(element)
    return literal, others


def is_this_machine(network: IPNetwork) -> bool:
    """Tell whether a network is loopback, IPv4's as IPv6 maps it included (Postfix lists it)."""
    return network.is_loopback or contains(_MAPPED_LOOPBACK, network)


def contains(outer: IPNetwork, inner: IPNetwork) -> bool:
    """Tell whether `inner` lies within `outer`; networks of two versions never do."""
    if isinstance(outer, ipaddress.IPv4Network):
        return isinstance(inner, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, ipaddress.IPv6Network) and inner.subnet_of(outer)
