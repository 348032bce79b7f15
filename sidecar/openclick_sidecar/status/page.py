"""The status page as HTML: the frame, what needs somebody, the totals and the charts.

Called by `resource`.  Pure: what was read in, bytes out.  `tables` has the rest.

Promises: no script; nothing is loaded, the style sheet is in the page and allowed by its hash; no
recipient and no secret stands in it; whatever comes from outside is text; it is never larger than
`room.MOST_BYTES`, whatever the store holds.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from openclick import __version__
from openclick.figures import Engagement, Row
from openclick.instants import iso
from openclick.store import RecentEvent
from openclick.store.statistics import DAY, HOUR
from openclick_sidecar.metrics import Readings
from openclick_sidecar.status import domains, tables
from openclick_sidecar.status.attention import Finding, Level, findings
from openclick_sidecar.status.charts import Series, spark, stacked
from openclick_sidecar.status.lists import MOST_NAME, MOST_WORDS, more
from openclick_sidecar.status.markup import Markup, raw, tag
from openclick_sidecar.status.overview import DAYS, HOURS, Activity, Overview
from openclick_sidecar.status.room import MOST_BYTES, Room, clip
from openclick_sidecar.status.words import data, percent

_STYLE = re.sub(
    r"\s*([{};])\s*|\s+",
    lambda found: found[1] or " ",
    files("openclick_sidecar.status").joinpath("status.css").read_text("utf-8"),
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode("utf-8")).digest()).decode("ascii")
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect "
    "width='16' height='16' rx='4' fill='%232f62d0'/%3E%3Cpath d='M4 8.5l2.7 2.7L12 5.5' "
    "fill='none' stroke='%23fff' stroke-width='2'/%3E%3C/svg%3E"
)
_MOST_ATTENTION_BYTES = 3_000
_HEADINGS_BYTES = 2_000
"""Headings of lists and of their columns, and what says how much is left out."""
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    # The icon is in the page too; without it a browser asks for /favicon.ico, which is refused.
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Question:
    """What was asked for: the events of the messages that `name` names, empty for the newest."""

    name: str = ""
    events: tuple[RecentEvent, ...] = ()
    fault: str = ""


def page(overview: Overview, readings: Readings, question: Question) -> bytes:
    """Return the whole page."""
    found = findings(overview, readings)
    header, form = _header(overview, found), tables.form(question.name)
    activity = _activity(overview.activity) if overview.activity else None
    health = tables.health(overview, readings)
    fixed = _document(header, activity, health, form)
    room = Room(MOST_BYTES - _HEADINGS_BYTES - len(fixed))
    # In the order of what matters most; the events get what is left.
    attention = _attention(found, room)
    webhooks = tables.webhooks(overview, room) if overview.webhooks is not None else None
    of_domains = domains.section(overview, room) if overview.domains is not None else None
    shown = question.events if question.name else overview.events or ()
    events = tables.events(form, question.name, shown, question.fault, overview.at, room)
    return _document(header, attention, activity, of_domains, webhooks, health, events)


def _document(header: Markup, *parts: Markup | None) -> bytes:
    footer = tag(
        "footer",
        "Days and hours are UTC’s. The same in a terminal: ",
        tag("code", "openclick stats"),
        ".",
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="robots", content="noindex"),
        tag("title", "OpenClick"),
        tag("link", rel="icon", href=_ICON),
        tag("style", raw(_STYLE)),
    )
    body = tag("body", header, tag("main", *parts), footer)
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n".encode()


def _header(overview: Overview, found: list[Finding]) -> Markup:
    faults = sum(each.level is Level.FAULT for each in found)
    warnings = len(found) - faults
    if faults:
        state = tag("span", _count(faults, "fault"), class_="pill bad")
    elif warnings:
        state = tag("span", _count(warnings, "warning"), class_="pill warn")
    else:
        state = tag("span", "All is well", class_="pill good")
    moment = datetime.fromtimestamp(overview.at // 1_000_000, UTC)
    return tag(
        "header",
        tag("h1", "OpenClick"),
        state,
        tag(
            "p",
            f"version {__version__} · as of ",
            tag("time", f"{moment:%Y-%m-%d %H:%M:%S} UTC", datetime=iso(overview.at)),
        ),
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _attention(found: list[Finding], room: Room) -> Markup | None:
    if not found:
        return None
    fitted = room.fit(found, _finding, _MOST_ATTENTION_BYTES)
    return tag(
        "section",
        tag("h2", "Needs attention"),
        tag("ul", list(fitted.shown)),
        more(fitted.left_out, "openclick doctor"),
        class_="attention",
    )


def _finding(found: Finding) -> Markup:
    return tag(
        "li",
        tag("b", clip(found.subject, MOST_NAME)),
        " ",
        tag("span", clip(found.text, MOST_WORDS)),
        class_="bad" if found.level is Level.FAULT else "warn",
    )


def _activity(activity: Activity) -> Markup:
    return tag(
        "section",
        tag("h2", f"The last {DAYS} days"),
        _tiles(activity),
        tag("div", *_charts(activity), class_="charts"),
    )


def _tiles(activity: Activity) -> Markup:
    total, days = activity.total, activity.days
    return tag(
        "div",
        _tile(
            *("Messages", data(total.messages, "messages")),
            ("submitted for added domains",),
            spark([day.messages for day in days], "tracked", "Messages by day"),
        ),
        _tile(
            *("Tracked", data(total.tracked, "tracked")),
            (
                percent(total.tracked, total.copies),
                " of copies; ",
                data(total.untouched, "untouched"),
                " untouched",
            ),
            spark([day.tracked for day in days], "tracked", "Tracked copies by day"),
        ),
        _reader_tile("Opened", "opens", total, total.opens, [day.opens for day in days]),
        _reader_tile("Clicked", "clicks", total, total.clicks, [day.clicks for day in days]),
        class_="tiles",
    )


def _reader_tile(
    title: str, name: str, total: Row, whole: Engagement, days: list[Engagement]
) -> Markup:
    return _tile(
        title,
        data(whole.unique, f"{name}-unique"),
        (
            percent(whole.unique, total.tracked),
            " of tracked copies; ",
            data(whole.counted, f"{name}-counted"),
            f" {name}",
        ),
        spark([day.counted for day in days], "people", f"{title} by day"),
    )


def _tile(title: str, value: Markup, note: tuple[object, ...], chart: Markup) -> Markup:
    return tag(
        "div",
        tag("h3", title),
        tag("p", value, class_="value"),
        tag("p", *note, class_="note"),
        chart,
    )


def _charts(activity: Activity) -> list[Markup]:
    days = [_day(row.key) for row in activity.days]
    hours = [_hour(row.key) for row in activity.hours]
    return [
        stacked("Opens by day", days, _by_visitor([row.opens for row in activity.days])),
        stacked("Clicks by day", days, _by_visitor([row.clicks for row in activity.days])),
        stacked(
            "Copies by day",
            days,
            [
                Series("tracked", "tracked", [row.tracked for row in activity.days]),
                Series("untouched", "dropped", [row.untouched for row in activity.days]),
            ],
        ),
        stacked(
            f"The last {HOURS} hours",
            hours,
            [
                Series("opens", "people", [row.opens.counted for row in activity.hours]),
                Series("clicks", "clicks", [row.clicks.counted for row in activity.hours]),
            ],
        ),
    ]


def _by_visitor(rows: list[Engagement]) -> list[Series]:
    """Return the parts of a bar; proxies make no clicks, so those bars have two."""
    every = [
        Series("people", "people", [row.people for row in rows]),
        Series("image proxies", "proxies", [row.proxies for row in rows]),
        Series("dropped", "dropped", [row.dropped for row in rows]),
    ]
    return [one for one in every if one.style != "proxies" or any(one.values)]


def _day(key: str) -> str:
    return f"{datetime.fromtimestamp(int(key) * DAY // 1_000_000, UTC):%d %b}"


def _hour(key: str) -> str:
    return f"{datetime.fromtimestamp(int(key) * HOUR // 1_000_000, UTC):%H:00}"
