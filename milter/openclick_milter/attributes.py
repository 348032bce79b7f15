"""Decodes the value of an HTML attribute: character references, by the attribute rule, once.

Called by `destinations` (what does this href point to?) and `links` (opt-out values).  Promise: the
result is what a browser holds in its DOM, so `?a=1&copy=2` survives while `?a=1&amp;b=2` becomes
`?a=1&b=2`; a reference that appears only after decoding is never decoded again.

Source: WHATWG HTML, 13.2.5.72-80 (character reference states).  `html.unescape` follows the rule
for text, which differs from the one for attributes, and so cannot be used here.

Limits: NUL and newline forms are left as they stand; URL parsing deals with both.
"""

from __future__ import annotations

import re
from html.entities import html5

_REFERENCE = re.compile(r"&(?:#(?:[xX]([0-9A-Fa-f]+)|([0-9]+));?|([0-9A-Za-z]+)(;?)(=?))")

_WINDOWS_1252 = {
    code: bytes([code]).decode("cp1252")
    for code in range(0x80, 0xA0)
    if code not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}
"""What the numbers 128 to 159 stand for (WHATWG, numeric character reference end state)."""

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_LONGEST_NUMBER = 7
"""Digits; U+10FFFF has 6 in hexadecimal and 7 in decimal."""


def decode_attribute(value: str) -> str:
    """Replace the character references in an attribute's `value`, as written between its quotes."""
    if value.count("&") == value.count("&amp;"):
        return value.replace("&amp;", "&")
    return _REFERENCE.sub(_decode_reference, value)


def _decode_reference(match: re.Match[str]) -> str:
    hexadecimal, decimal, name, semicolon, equals = match.groups()
    if hexadecimal:
        return _character(hexadecimal, 16)
    if decimal:
        return _character(decimal, 10)
    if semicolon:
        found = html5.get(f"{name};")
        return match[0] if found is None else found + equals
    # Without its semicolon a name counts only where neither `=` nor a letter or digit follows.  The
    # whole run of letters and digits was taken above, so a shorter name in it never counts either.
    found = None if equals else html5.get(name)
    return match[0] if found is None else found


def _character(digits: str, base: int) -> str:
    """Return the character with this number, by the numeric character reference end state."""
    digits = digits.lstrip("0")
    if len(digits) > _LONGEST_NUMBER:
        return _REPLACEMENT
    code = int(digits or "0", base)
    if code == 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        return _REPLACEMENT
    return _WINDOWS_1252.get(code) or chr(code)
