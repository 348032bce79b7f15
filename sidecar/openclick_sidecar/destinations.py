"""Writes the Location of a redirect: the exact destination, safe on the wire.

Called by `site`.  Pure.  A sealed destination is what a browser would have followed from the mail;
here only what no header may hold is encoded: non-ASCII as UTF-8 percent-encoding (WHATWG URL, 1.3),
blanks and control characters likewise, an international host as A-labels.  Everything else, right
or wrong, stays as the author wrote it.
"""

from __future__ import annotations

import re

from openclick.names import browser_host

_WEB_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#\\]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
# Without IGNORECASE, which would look every character up.
_NOTHING_TO_ENCODE = re.compile(r"[hH][tT][tT][pP][sS]?://[\x21-\x7e]*\Z")
_UNSAFE = re.compile(r"[^\x21-\x7e]")


def location(destination: str) -> bytes | None:
    """Return the Location value for `destination`, or None where it is neither http nor https.

    The value is printable ASCII without blanks, whatever the token held.
    """
    if _NOTHING_TO_ENCODE.match(destination):  # almost every one
        return destination.encode("ascii")
    match = _WEB_URL.match(destination)
    if match is None:
        return None
    authority = _ascii_authority(match["authority"])
    text = f"{match['scheme']}://{authority}{_encoded(match['rest'])}"
    return text.encode("ascii")


def _ascii_authority(authority: str) -> str:
    if authority.isascii():
        return _encoded(authority)
    userinfo, at, host_port = authority.rpartition("@")
    host, colon, port = host_port.partition(":")
    if not host.isascii():
        host = browser_host(host) or host
    return f"{_encoded(userinfo)}{at}{_encoded(host)}{colon}{_encoded(port)}"


def _encoded(text: str) -> str:
    return _UNSAFE.sub(
        lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass")),
        text,
    )
