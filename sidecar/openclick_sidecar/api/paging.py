"""Pages of a list: `{data, has_more, next_cursor}`, newest first.

Called by the list resources.  Pure.  A cursor is opaque to clients: base64url of what the next page
needs to know.  Promises: one that we did not make is a validation error, never a fault.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from openclick.instants import Instant
from openclick_sidecar.api.answers import Answer, ok
from openclick_sidecar.api.query import Query

T = TypeVar("T")

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
_MAX_NUMBER = 2**63 - 1


def limit_of(query: Query) -> int:
    """Return how many entries a page is to have."""
    return query.number("limit", DEFAULT_LIMIT, 1, MAX_LIMIT)


def write_cursor(*parts: int | str) -> str:
    """Return a cursor that holds these values."""
    raw = json.dumps(parts, separators=(",", ":")).encode("utf-8")
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def read_cursor(query: Query, *kinds: type) -> tuple[Any, ...] | None:
    """Return what `after` holds, as many values as `kinds`; None where there is no `after`."""
    text = query.text("after")
    if text is None:
        return None
    parts = _decoded(text)
    if (
        not isinstance(parts, list)
        or [type(part) for part in parts] != list(kinds)
        or any(isinstance(part, int) and not 0 <= part <= _MAX_NUMBER for part in parts)
    ):
        query.wrong("after", "need the next_cursor of a page of this very list")
        return None
    return tuple(parts)


def page(data: Sequence[Any], next_cursor: str | None) -> Answer:
    """Return one page; without a cursor it is the last."""
    return ok({"data": data, "has_more": next_cursor is not None, "next_cursor": next_cursor})


def page_of(
    everything: Sequence[T],
    query: Query,
    place: Callable[[T], tuple[Instant, str]],
    shown: Callable[[T], Any],
) -> Answer:
    """Return a page of a list that is small enough to be read whole.  Raises ApiFault.

    `place` is an entry's instant and id, by which the list is ordered.
    """
    limit, after = limit_of(query), read_cursor(query, int, str)
    query.check()
    ordered = sorted(everything, key=place, reverse=True)
    left = [entry for entry in ordered if after is None or place(entry) < after]
    more = len(left) > limit
    return page(
        [shown(entry) for entry in left[:limit]],
        write_cursor(*place(left[limit - 1])) if more else None,
    )


def _decoded(text: str) -> Any:
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None
