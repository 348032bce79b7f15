"""What a webhook may be: its name, URL, events, domains and status.

Called by `webhook_actions`.  Pure.  Each rule returns the value in its one spelling or raises
WebhookError, whose code is stable: the command prints its message, the HTTP API sends both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from openclick.addresses import forbidden_range, maybe_literal
from openclick.names import BadName, browser_host, domain_name
from openclick.option_kinds import IPNetwork
from openclick.webhooks import ACCEPTED_EVENT_NAMES, WebhookStatus

MAX_NAME_CHARS = 200
MAX_URL_CHARS = 2000
_BAD_IN_URL = re.compile(r"[^\x21-\x7e]|[\"<>\\^`{|}]")


class WebhookError(Exception):
    """What was asked for cannot be done.

    `code` is one of

        invalid_name, invalid_url, invalid_events, invalid_domains, invalid_status
        webhook_not_found, delivery_not_found
        webhook_disabled             nothing is posted to it
        webhook_rotation_in_progress the last rotation's grace has not ended
        delivery_delivered           there is nothing to retry
        delivery_under_way           an attempt is being made right now
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class UrlRules:
    """What the settings say of a webhook's URL."""

    allow_http: bool
    allow_private_networks: tuple[IPNetwork, ...]


def checked_name(name: str) -> str:
    """Return a name for people."""
    text = name.strip()
    if not text or len(text) > MAX_NAME_CHARS or not text.isprintable():
        raise WebhookError("invalid_name", f"name: need 1 to {MAX_NAME_CHARS} printable characters")
    return text


def checked_url(url: str, rules: UrlRules) -> str:
    """Return a URL that can be posted to, its host in lower case and as A-labels."""
    parts = _split(url)
    schemes = ("https", "http") if rules.allow_http else ("https",)
    if parts.scheme not in schemes or not parts.hostname:
        hint = "" if rules.allow_http else " (http needs webhooks.allow_http = true)"
        raise _bad_url(url, f"need an https address{hint}")
    if "@" in parts.netloc:
        raise _bad_url(url, "need an address without user and password")
    host = _checked_host(url, parts.hostname, rules)
    port = f":{parts.port}" if parts.port is not None else ""
    checked = parts._replace(netloc=f"{host}{port}", fragment="").geturl()
    if len(checked) > MAX_URL_CHARS or _BAD_IN_URL.search(checked):
        raise _bad_url(
            url,
            f"need at most {MAX_URL_CHARS} characters of printable ASCII without blank, quote, "
            "backslash, angle and curly bracket; percent-encode others",
        )
    return checked


def checked_events(events: Sequence[str]) -> tuple[str, ...]:
    """Return event names, each once, in the order in which they came."""
    unknown = [name for name in events if name not in ACCEPTED_EVENT_NAMES]
    if unknown or not events:
        found = f"{unknown[0]!r} is no event" if unknown else "none is named"
        raise WebhookError(
            "invalid_events", f"events: {found}; need some of {', '.join(ACCEPTED_EVENT_NAMES)}"
        )
    return tuple(dict.fromkeys(events))


def checked_domains(domains: Sequence[str]) -> tuple[str, ...]:
    """Return sending domains as A-labels, each once; none means all."""
    checked = []
    for name in domains:
        try:
            checked.append(domain_name(name))
        except BadName as error:
            raise WebhookError("invalid_domains", f"domains: {name!r}: {error}") from error
    return tuple(dict.fromkeys(checked))


def checked_status(status: str) -> WebhookStatus:
    """Return a status that may be set: circuit_disabled is the sidecar's own."""
    if status not in (WebhookStatus.ACTIVE, WebhookStatus.DISABLED):
        raise WebhookError("invalid_status", f"status: {status!r}: need active or disabled")
    return WebhookStatus(status)


def host_of_url(url: str) -> str:
    """Return the host of a URL that was checked."""
    return urlsplit(url).hostname or ""


def _split(url: str) -> SplitResult:
    if any(char <= " " or char == "\x7f" for char in url):
        raise _bad_url(url, "need an address without blank and control byte")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no port
    except ValueError as error:
        raise _bad_url(url, str(error)) from error
    return parts


def _checked_host(url: str, host: str, rules: UrlRules) -> str:
    try:
        literal = maybe_literal(host)
    except ValueError as error:
        raise _bad_url(url, str(error)) from error
    if literal is None:
        name = browser_host(host)
        if name is None or _is_odd_address(name):
            raise _bad_url(url, f"{host!r} is no host name")
        return name
    word = forbidden_range(literal, rules.allow_private_networks)
    if word is not None:
        raise _bad_url(
            url, f"{literal} is not on the internet ({word}); see webhooks.allow_private_networks"
        )
    return f"[{literal}]" if literal.version == 6 else str(literal)


def _is_odd_address(name: str) -> bool:
    """Tell whether mapping a name has made an address of it, as of fullwidth digits."""
    try:
        return maybe_literal(name) is not None
    except ValueError:
        return True


def _bad_url(url: str, what: str) -> WebhookError:
    return WebhookError("invalid_url", f"url: {url[:200]!r}: {what}")
