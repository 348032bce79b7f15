"""Domain names as OpenClick compares them: A-labels in lower case, without a final dot.

Called wherever a name comes in: the From address, the Host field, the command line.  Pure.
"""

from __future__ import annotations

import functools
import re

import idna

_ASCII_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*"
    r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z"
)
_BROWSER_HOST = re.compile(r"[a-z0-9._-]+\Z")
_MAX_NAME_CHARS = 1000


class BadName(ValueError):
    """A text that is no domain name; the message says why in a few words."""


def domain_name(text: str) -> str:
    """Return `text` as A-labels in lower case without the final dot.

    Non-ASCII names go through UTS 46 as browsers do (non-transitional).  Raises BadName.
    """
    name = text.strip().rstrip(".")
    if not name or len(name) > _MAX_NAME_CHARS:
        raise BadName("empty" if not name else "longer than a domain name may be")
    if not name.isascii():
        try:
            # UTS 46 folds case itself; str.lower would make another letter of a final sigma.
            name = idna.encode(name, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError) as error:
            raise BadName(f"not a valid international name: {error}") from error
    name = name.lower()
    if not _ASCII_NAME.match(name):
        raise BadName("holds a character or a label that no host name may have")
    return name


def browser_host(text: str) -> str | None:
    """Return what a browser makes of the international host `text`; None where it makes nothing.

    More liberal than `domain_name`: browsers follow UTS 46 without the checks of IDNA 2008, so that
    an emoji, an underscore or a final dot is no reason to refuse a host.
    """
    if len(text) > _MAX_NAME_CHARS:
        return None
    try:
        mapped = idna.uts46_remap(text, std3_rules=False, transitional=False)
        labels = [_a_label(label) for label in mapped.split(".")]
    except (idna.IDNAError, UnicodeError):
        return None
    host = ".".join(labels)
    # A compatibility character can hide a slash or a colon, which would move the host's end.
    return host if _BROWSER_HOST.match(host) else None


def _a_label(label: str) -> str:
    return label if label.isascii() else f"xn--{label.encode('punycode').decode('ascii')}"


@functools.lru_cache(maxsize=1024)
def host_of(field_value: str) -> str:
    """Return the host of a Host field or an authority, without the port (RFC 9110, 7.2).

    Kept for the next request, which mostly asks for the same host.  Raises BadName.
    """
    host = re.sub(r":\d{0,5}\Z", "", field_value.strip())
    return domain_name(host)
