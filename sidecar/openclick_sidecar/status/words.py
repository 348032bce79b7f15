"""How the status page writes numbers, sizes and instants.

Used by the modules of this package.  Pure; the present instant is handed in.
"""

from __future__ import annotations

from datetime import UTC, datetime

from openclick.instants import SECOND, Instant, iso
from openclick_sidecar.status.markup import Markup, tag

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_SIZES = ("bytes", "KiB", "MiB", "GiB", "TiB")


def number(value: float) -> str:
    """Write a count, its thousands apart."""
    return f"{value:,}"


def data(value: int, name: str | None = None) -> Markup:
    """Return a count that programs can read too, under `name` if it has one."""
    return tag("data", number(value), value=value, id=name)


def percent(part: int, whole: int) -> str:
    """Write a share; a dash where there is nothing to have a share of.

    Neither 0 % nor 100 % is said of what is only nearly so.
    """
    if not whole:
        return "–"
    share = 100 * part / whole
    if 0 < share < 0.1 or 99.9 < share < 100:
        return "< 0.1 %" if share < 50 else "> 99.9 %"
    return f"{share:.1f} %" if 0 < share < 100 else f"{share:.0f} %"


def size(bytes_: int) -> str:
    """Write a size in binary units."""
    value, unit = float(bytes_), 0
    while value >= 1024 and unit < len(_SIZES) - 1:
        value, unit = value / 1024, unit + 1
    return (
        f"{value:.0f} {_SIZES[unit]}"
        if unit == 0 or value >= 100
        else f"{value:.1f} " + (_SIZES[unit])
    )


def span(seconds: float) -> str:
    """Write a duration in its largest unit."""
    whole = max(0, int(seconds))
    for length, unit in _UNITS:
        if whole >= 2 * length or unit == "s":
            return f"{whole // length} {unit}"
    raise AssertionError


def milliseconds(seconds: float) -> str:
    """Write a short duration."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def ago(at: Instant | None, now: Instant) -> Markup:
    """Return how long an instant is past, or how long it is to come; "never" for None."""
    if at is None:
        return tag("span", "never")
    seconds = (now - at) / SECOND
    text = f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"
    return tag("span", text, title=iso(at))


def date(at: Instant) -> str:
    """Write the day of an instant."""
    return f"{datetime.fromtimestamp(at // SECOND, UTC):%Y-%m-%d}"


def clock(at: Instant, now: Instant) -> str:
    """Write an instant as its time of day, with the date where that is not today's."""
    moment = datetime.fromtimestamp(at // SECOND, UTC)
    return f"{moment:%H:%M:%S}" if date(at) == date(now) else f"{moment:%d %b %H:%M}"
