"""Who may see the status page.

Called by `resource`.  Pure.  Without a login the page is this machine's alone: the connection must
have come in at a loopback address, by no proxy, and under a name that only this machine has, since
a page of a stranger's may lead his own name to 127.0.0.1 and read what it gets.  With a login
(sidecar.status_login_file) everybody is asked for it, by Basic (RFC 7617), on loopback too.

Limits: over plain HTTP the password crosses the network as it is; put TLS in front.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from openclick.config import ConfigError, Fault

REALM = 'Basic realm="OpenClick", charset="UTF-8"'
_PROXY_FIELDS = ("x-forwarded-for", "forwarded", "via")
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]]+))(?::\d+)?\Z")


def read_login(path: str) -> str:
    """Return the USER:PASSWORD of a file, empty where none is named.  Raises ConfigError."""
    if not path:
        return ""
    file = Path(path)
    try:
        mode, text = file.stat().st_mode, file.read_text("utf-8")
    except OSError as error:
        raise ConfigError([Fault(path, 0, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Fault(path, 0, "is not UTF-8: need one line USER:PASSWORD")]) from error
    if mode & stat.S_IRWXO:
        raise ConfigError([Fault(path, 0, f"has mode {stat.S_IMODE(mode):04o}; need 0640 or less")])
    user, colon, password = text.strip("\r\n").partition(":")
    if not user or not colon or not password or "\n" in password:
        raise ConfigError([Fault(path, 0, "need one line USER:PASSWORD, neither of them empty")])
    return f"{user}:{password}"


def refusal(
    login: str, own_address: str, protocol: str, fields: Mapping[str, str]
) -> tuple[int, str] | None:
    """Return why a request is not answered, as status and sentence; None where it is.

    `own_address` is where the connection came in, `protocol` the request's HTTP version, `fields`
    its fields by lower-case name.
    """
    if login:
        if _knows(login, fields.get("authorization", "")):
            return None
        return 401, "This page asks for the login in sidecar.status_login_file."
    if not _is_loopback(own_address):
        return 403, "This page is for this machine alone unless sidecar.status_login_file is set."
    # nginx as it comes names neither itself nor its client, but no browser speaks HTTP/1.0.
    if protocol == "HTTP/1.0" or any(name in fields for name in _PROXY_FIELDS):
        return 403, "This page is not for proxies unless sidecar.status_login_file is set."
    match = _HOST.match(fields.get("host", ""))
    host = (match[1] or match[2]) if match else ""
    if host != "localhost" and not _is_loopback(host):
        return 403, "Ask for this page as localhost, or set sidecar.status_login_file."
    return None


def _knows(login: str, authorization: str) -> bool:
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        shown = base64.b64decode(given.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(shown, login.encode("utf-8"))


def _is_loopback(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
