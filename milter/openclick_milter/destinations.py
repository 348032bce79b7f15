"""Turns the raw value of an href into the destination to seal, or a reason to leave it alone.

Called by `instrument` for each link.  Promises: the destination is what a browser would follow for
this href (references decoded once, ends stripped, TAB, CR and LF dropped), and otherwise kept
character for character; nothing is repaired, and what looks odd is left alone.

Source: WHATWG URL, 4.4 (basic URL parser, steps 1 to 3) for the stripping; the forms of host that
are taken are fewer than a browser takes, so that the redirect is sure to lead to the same place.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import NamedTuple

from openclick_milter.attributes import decode_attribute
from openclick_milter.reasons import Reason

_C0_AND_SPACE = "".join(map(chr, range(0x21)))
_DROPPED = str.maketrans("", "", "\t\r\n")
_PLAIN = re.compile(r"https?://[0-9a-z][0-9a-z.-]*(?:/[!-~]*)?")
"""Most links by far: what it matches passes every check below, at a twentieth of the time."""
_WEB = re.compile(r"https?:", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_AUTHORITY = re.compile(r"//([^/?#\\]*)(\\?)")
_TEMPLATE = re.compile(r"\{\{|\{%|\[\[|\*\||<%|[$#]\{|%[^%/]+%|\{[^{}]+\}")
_HOST = re.compile(
    r"(?:[^@\s<>\"]*@)?"
    r"(?:\[[0-9A-Fa-f:.]+\]|(?=[^:]*[0-9A-Za-z\x80-\U0010ffff])[0-9A-Za-z._\-\xa1-\U0010ffff]+)"
    r"(?::[0-9]{0,5})?"
)
_NO_HOST_CHARACTERS = re.compile("[\\s\N{REPLACEMENT CHARACTER}]")

_ASCII = bytes(range(0x20, 0x7F))
_SHIFTING = re.compile(r"2022|utf[-_]?(?:7|16|32)|ucs|unicode|^hz|ebcdic|idna|punycode|undefined")
"""Charsets in which an ASCII byte can be part of a letter, and Python codecs that are none."""


class Destination(NamedTuple):
    """The text an href stands for; `reason` is "" where it may be sealed."""

    text: str
    reason: str


def destination(raw: bytes, charset: str) -> Destination:
    """Read the bytes between an href's quotes; `charset` is the declared one, "" for none.

    Remembered, since the mails of one mailing share most of their links; not where that would hold
    on to much.
    """
    read = _remembered if len(raw) <= _REMEMBERED_BYTES else _destination
    return read(raw, charset)


def _destination(raw: bytes, charset: str) -> Destination:
    try:
        text = raw.decode("ascii") if raw.isascii() else raw.decode(_codec(charset) or "ascii")
    except (UnicodeError, LookupError):
        return Destination(raw.decode("ascii", "backslashreplace"), Reason.UNDECODABLE_URL)
    text = decode_attribute(text)
    if _PLAIN.fullmatch(text):
        return Destination(text, "")
    text = text.strip(_C0_AND_SPACE).translate(_DROPPED)
    return Destination(text, _reason(text))


_REMEMBERED_BYTES = 500
_remembered = lru_cache(maxsize=2048)(_destination)


def _reason(text: str) -> str:
    """Say why `text` is not to be sealed, "" where it is."""
    if not _WEB.match(text):
        return _no_web_reason(text)
    if _CONTROL.search(text):
        return Reason.CONTROL_CHARACTER
    authority = _AUTHORITY.match(text, text.index(":") + 1)
    return _host_reason(*authority.groups()) if authority else Reason.ODD_URL


def _host_reason(authority: str, backslash: str) -> str:
    """Say why a URL with this authority is left alone; `backslash` is one that follows it."""
    if _TEMPLATE.search(authority):
        return Reason.TEMPLATE_HOST
    if not authority or backslash:
        return Reason.ODD_URL
    if not _HOST.fullmatch(authority) or _NO_HOST_CHARACTERS.search(authority):
        return Reason.ODD_HOST
    return ""


def _no_web_reason(text: str) -> Reason:
    if not text:
        return Reason.EMPTY
    if text.startswith("#"):
        return Reason.ANCHOR
    if text.startswith("//"):
        return Reason.NO_SCHEME
    return Reason.OTHER_SCHEME if _SCHEME.match(text) else Reason.RELATIVE


@lru_cache(maxsize=256)
def _codec(charset: str) -> str:
    """Return Python's name for `charset`, "" where it knows none in which ASCII stays ASCII."""
    try:
        name = codecs.lookup(charset).name
        if _SHIFTING.search(name) or _ASCII.decode(name) != _ASCII.decode("ascii"):
            return ""
    except (LookupError, ValueError):
        return ""
    return name


@lru_cache(maxsize=256)
def is_byte_safe(charset: str) -> bool:
    """Tell whether ASCII bytes always mean ASCII characters in `charset`, so that HTML in it can be
    edited in place.

    An unknown label counts as safe (real mail is full of misspelt ones) unless it looks like one of
    the families that are not: UTF-16, UTF-32, UTF-7, ISO-2022, HZ, EBCDIC.
    """
    if _SHIFTING.search(charset.lower()):
        return False
    try:
        codecs.lookup(charset)
    except (LookupError, ValueError):
        return True
    return bool(_codec(charset))
