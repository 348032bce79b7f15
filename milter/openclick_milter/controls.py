"""Control headers: what an app asks of us for one message, and which fields to take out.

Called by `submission` at the end of the headers.  Pure.  Names and value syntax are DESIGN 3.2's:

    <prefix>Track-Opens, <prefix>Track-Clicks   true/false, yes/no, on/off, 1/0; the last one wins
    <prefix>Tags                                comma list, repeatable
    <prefix>Topic, <prefix>Campaign             one word; the last one wins

With `vendor_headers` those of the big mail services (`vendors`) are read and removed too; ours win.

Promises: a value that cannot be used counts as absent and is named in `complaints`; every control
header is removed, X-OpenClick-Id among them, but one that an existing DKIM signature covers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from openclick.labels import is_campaign, is_topic, sort_tags
from openclick.messages import Labels
from openclick.policy import Toggles
from openclick.sealed_ids import ID_HEADER
from openclick_milter.vendors import VENDOR_HEADERS, VendorWish, merge

HeaderFields = Sequence[tuple[str, str]]
"""Fields in order: name as written, value as pymilter gives it (folds as LF and blank)."""

_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_CONTROLS = ("track-opens", "track-clicks", "tags", "topic", "campaign")
_MAX_QUOTED_CHARS = 80
_MAX_COMPLAINTS = 10


@dataclass(frozen=True)
class Removal:
    """One field to delete: the `occurrence`-th (from 1) of those called `name`, in any case."""

    name: str
    occurrence: int


@dataclass(frozen=True)
class Controls:
    """What the control headers of one message say."""

    toggles: Toggles
    labels: Labels
    removals: tuple[Removal, ...]
    complaints: tuple[str, ...]


def read_controls(fields: HeaderFields, prefix: str, *, vendors: bool = False) -> Controls:
    """Read the control headers that begin with `prefix` (any case) out of `fields`.

    `vendors`: the setting `milter.vendor_headers`.
    """
    complaints: list[str] = []
    values = _values(fields, prefix)
    wish = _vendor_wish(fields) if vendors else VendorWish()
    own = Toggles(
        opens=_toggle(values["track-opens"], complaints),
        clicks=_toggle(values["track-clicks"], complaints),
    )
    tags, dropped = sort_tags([*_split_tags(values["tags"]), *wish.tags])
    complaints += [f"tag dropped: {_quoted(tag)}" for tag in dropped]
    vendor_campaign = [("campaign", wish.campaign)] if wish.campaign else []
    labels = Labels(
        tags,
        _word(values["topic"], is_topic, complaints),
        _word([*vendor_campaign, *values["campaign"]], is_campaign, complaints),
    )
    removals = _removals(fields, prefix, vendors)
    return Controls(merge(own, wish.toggles), labels, removals, _at_most_ten(complaints))


def is_control(name: str, prefix: str, vendors: bool = False) -> bool:
    """Tell whether a field called `name` is there for us alone, and so to be removed."""
    lowered = name.lower()
    return (
        _own_control(lowered, prefix) is not None
        or lowered == ID_HEADER.lower()
        or (vendors and lowered in VENDOR_HEADERS)
    )


def _own_control(lowered: str, prefix: str) -> str | None:
    """Return what follows the prefix where that names a control header."""
    control = lowered.removeprefix(prefix.lower())
    return control if control != lowered and control in _CONTROLS else None


def _vendor_wish(fields: HeaderFields) -> VendorWish:
    """Return what the vendor headers ask for together; the last one wins."""
    whole = VendorWish()
    for name, value in fields:
        reader = VENDOR_HEADERS.get(name.lower())
        if reader is not None:
            wish = reader(value)
            whole = VendorWish(
                merge(wish.toggles, whole.toggles),
                whole.tags + wish.tags,
                wish.campaign or whole.campaign,
            )
    return whole


def _split_tags(values: list[tuple[str, str]]) -> list[str]:
    return [tag.strip() for _, value in values for tag in value.split(",") if tag.strip()]


def _values(fields: HeaderFields, prefix: str) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {control: [] for control in _CONTROLS}
    for name, value in fields:
        control = _own_control(name.lower(), prefix)
        if control is not None:
            found[control].append((name, re.sub(r"\s+", " ", value).strip()))
    return found


def _toggle(values: list[tuple[str, str]], complaints: list[str]) -> bool | None:
    """Return what the last usable occurrence says."""
    toggle: bool | None = None
    for name, value in values:
        word = _WORDS.get(value.lower())
        if word is None:
            complaints.append(f"{name}: {_quoted(value)} is neither true nor false: ignored")
        else:
            toggle = word
    return toggle


def _word(
    values: list[tuple[str, str]], is_valid: Callable[[str], bool], complaints: list[str]
) -> str | None:
    word: str | None = None
    for name, value in values:
        if is_valid(value):
            word = value
        else:
            complaints.append(f"{name}: {_quoted(value)} is no such label: dropped")
    return word


def _removals(fields: HeaderFields, prefix: str, vendors: bool) -> tuple[Removal, ...]:
    """List the control headers from the last to the first, so that removing keeps the counts."""
    signed = _signed_names(value for name, value in fields if name.lower() == "dkim-signature")
    counts: dict[str, int] = {}
    removals: list[Removal] = []
    for name, _ in fields:
        lowered = name.lower()
        counts[lowered] = counts.get(lowered, 0) + 1
        if is_control(name, prefix, vendors) and lowered not in signed:
            removals.append(Removal(name, counts[lowered]))
    return tuple(reversed(removals))


def _signed_names(signatures: Iterable[str]) -> set[str]:
    """Return the field names that DKIM signatures cover: their h= tags (RFC 6376, 3.5)."""
    names: set[str] = set()
    for signature in signatures:
        for tag in signature.split(";"):
            key, _, value = tag.partition("=")
            if key.strip() == "h":
                names.update(name.strip().lower() for name in value.split(":"))
    return names


def _at_most_ten(complaints: list[str]) -> tuple[str, ...]:
    """Return the first complaints and how many more there are: one mail must not fill the log."""
    more = len(complaints) - _MAX_COMPLAINTS
    rest = (f"{more} more such complaints",) if more > 0 else ()
    return (*complaints[:_MAX_COMPLAINTS], *rest)


def _quoted(value: str) -> str:
    return repr(value[:_MAX_QUOTED_CHARS])
