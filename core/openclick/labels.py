"""Tags, topic and campaign: the labels that an app gives a message and finds in its events.

Called by the milter for control headers, and by whatever else accepts labels.  The syntax is
Anypost's (`POST /v1/email`).  Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_TAGS = 10
_TAG = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_TOPIC = re.compile(r"[a-z0-9_.-]{1,64}\Z")
_CAMPAIGN = _TAG


def is_topic(text: str) -> bool:
    """Tell whether `text` may be a topic."""
    return _TOPIC.match(text) is not None


def is_campaign(text: str) -> bool:
    """Tell whether `text` may be a campaign."""
    return _CAMPAIGN.match(text) is not None


def sort_tags(candidates: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (the tags to keep, in order of first occurrence; the texts to drop)."""
    kept: list[str] = []
    dropped: list[str] = []
    for tag in candidates:
        if tag in kept:
            continue
        if _TAG.match(tag) and len(kept) < MAX_TAGS:
            kept.append(tag)
        else:
            dropped.append(tag)
    return tuple(kept), tuple(dropped)
