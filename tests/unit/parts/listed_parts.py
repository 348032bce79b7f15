"""A multipart message, and what `find_parts` lists of it, for tests of parts.

Who calls: tests of this folder.
"""

from __future__ import annotations

from openclick_milter.parts import Limits, Part, find_parts

LIMITS = Limits()
MIXED = [("Content-Type", 'multipart/mixed; boundary="b"')]
HTML_PART = b"--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n"


def contents(fields: list[tuple[str, str]], body: bytes) -> list[tuple[str, bytes]]:
    """Return type and content of each leaf."""
    parts = find_parts(fields, body, LIMITS)
    return [(p.content_type, body[p.start : p.end]) for p in parts if not is_entered(p)]


def is_entered(part: Part) -> bool:
    """Tell whether the parts inside this one are listed after it."""
    return part.content_type.startswith("multipart/") and not part.left
