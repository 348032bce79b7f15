"""What a webhook may be: its name, URL, events, domains and status.

Called by `webhook_actions`.  Pure.  Each rule returns the value in its one spelling or raises
WebhookError, whose code is stable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from openclick.names import BadName, domain_name
from openclick.webhooks import ACCEPTED_EVENT_NAMES, WebhookStatus

MAX_NAME_CHARS = 200
MAX_URL_CHARS = 2000


class WebhookError(Exception):
    """What was asked for cannot be done; `code` is stable.

    invalid_name, invalid_url, invalid_events, invalid_domains, invalid_status, webhook_not_found,
    webhook_rotation_in_progress.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class UrlRules:
    """What the settings say of a webhook's URL."""

    allow_http: bool


def checked_name(name: str) -> str:
    """Return a name for people."""
    text = name.strip()
    if not text or len(text) > MAX_NAME_CHARS or not text.isprintable():
        raise WebhookError("invalid_name", f"name: need 1 to {MAX_NAME_CHARS} printable characters")
    return text


def checked_url(url: str, rules: UrlRules) -> str:
    """Return a URL that can be posted to."""
    schemes = ("https", "http") if rules.allow_http else ("https",)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise WebhookError("invalid_url", f"url: {error}") from error
    if parts.scheme not in schemes or not host or "@" in parts.netloc:
        raise WebhookError("invalid_url", "url: need an https address without user and password")
    if len(url) > MAX_URL_CHARS or not url.isascii() or not url.isprintable() or " " in url:
        raise WebhookError("invalid_url", f"url: need at most {MAX_URL_CHARS} printable characters")
    return url


def checked_events(events: Sequence[str]) -> tuple[str, ...]:
    """Return event names, each once, in the order in which they came."""
    if not events or any(name not in ACCEPTED_EVENT_NAMES for name in events):
        raise WebhookError(
            "invalid_events", f"events: need some of {', '.join(ACCEPTED_EVENT_NAMES)}"
        )
    return tuple(dict.fromkeys(events))


def checked_domains(domains: Sequence[str]) -> tuple[str, ...]:
    """Return sending domains as A-labels, each once; none means all."""
    try:
        return tuple(dict.fromkeys(map(domain_name, domains)))
    except BadName as error:
        raise WebhookError("invalid_domains", f"domains: {error}") from error


def checked_status(status: str) -> WebhookStatus:
    """Return a status that may be set."""
    if status not in ("active", "disabled"):
        raise WebhookError("invalid_status", f"status: {status!r}: need active or disabled")
    return WebhookStatus(status)
