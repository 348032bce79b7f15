"""Control headers of the big mail services, understood with `milter.vendor_headers = true`.

Called by `controls`.  Pure: a table.  An app that was written for such a service goes on saying
what it wants, and our own headers win where both are there.  Every field named here is removed.

Sources: the services' public documentation of their SMTP headers, as of 2026.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from openclick.policy import Toggles

_ON = frozenset(("true", "yes", "on", "1", "htmlonly", "html_only", "htmlandtext", "all"))
_OFF = frozenset(("false", "no", "off", "0", "none", "textonly", "text_only"))


@dataclass(frozen=True)
class VendorWish:
    """What one vendor header asks for."""

    toggles: Toggles = field(default_factory=Toggles)
    tags: tuple[str, ...] = ()
    campaign: str | None = None


def _word(value: str) -> bool | None:
    lowered = value.strip().lower()
    return True if lowered in _ON else False if lowered in _OFF else None


def _opens(value: str) -> VendorWish:
    return VendorWish(Toggles(opens=_word(value)))


def _clicks(value: str) -> VendorWish:
    return VendorWish(Toggles(clicks=_word(value)))


def _both(value: str) -> VendorWish:
    return VendorWish(Toggles(opens=_word(value), clicks=_word(value)))


def _tags(value: str) -> VendorWish:
    return VendorWish(tags=tuple(tag.strip() for tag in value.split(",") if tag.strip()))


def _campaign(value: str) -> VendorWish:
    return VendorWish(campaign=value.strip() or None)


def _mandrill_track(value: str) -> VendorWish:
    """X-MC-Track lists what is on; what it does not name is off."""
    words = {word.strip().lower() for word in value.split(",")}
    clicks = bool(words & {"clicks", "clicks_all", "clicks_htmlonly"})
    return VendorWish(Toggles(opens="opens" in words, clicks=clicks))


VENDOR_HEADERS: dict[str, Callable[[str], VendorWish]] = {
    "x-pm-trackopens": _opens,
    "x-pm-tracklinks": _clicks,
    "x-pm-tag": _tags,
    "x-mailgun-track": _both,
    "x-mailgun-track-opens": _opens,
    "x-mailgun-track-clicks": _clicks,
    "x-mailgun-tag": _tags,
    "x-mc-track": _mandrill_track,
    "x-mc-tags": _tags,
    "x-mailjet-trackopen": _opens,
    "x-mailjet-trackclick": _clicks,
    "x-mailjet-campaign": _campaign,
}
"""Field name in lower case to its reader."""


def merge(first: Toggles, then: Toggles) -> Toggles:
    """Return `first` with what only `then` knows."""
    merged = first
    if merged.opens is None:
        merged = replace(merged, opens=then.opens)
    if merged.clicks is None:
        merged = replace(merged, clicks=then.clicks)
    return merged
