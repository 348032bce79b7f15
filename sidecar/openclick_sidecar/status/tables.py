"""The parts of the status page that tell of webhooks, events and the daemons.

Called by `page`.  Pure.  A list is as long as there is room, and tells how much is left out.
"""

from __future__ import annotations

from urllib.parse import urlencode

from openclick import __version__
from openclick.events import EventType
from openclick.ids import format_email_id
from openclick.instants import SECOND, Instant
from openclick.store import Heartbeat, RecentEvent, WebhookFigures
from openclick.webhooks import WebhookStatus, origin_of
from openclick.work_times import WorkTimes
from openclick_sidecar.metrics import Readings
from openclick_sidecar.status.lists import (
    MOST_LABEL,
    MOST_NAME,
    MOST_WORDS,
    fact,
    failure,
    more,
    table,
    table_row,
)
from openclick_sidecar.status.markup import Markup, tag
from openclick_sidecar.status.overview import Overview
from openclick_sidecar.status.room import Room, clip
from openclick_sidecar.status.words import (
    ago,
    clock,
    data,
    milliseconds,
    percent,
    size,
)
from openclick_sidecar.store_state import SILENT_SECONDS

_MOST_WEBHOOKS_BYTES = 4_500
_WEBHOOK_PILLS = {
    WebhookStatus.ACTIVE: ("active", "good"),
    WebhookStatus.DISABLED: ("disabled", "off"),
    WebhookStatus.CIRCUIT_DISABLED: ("circuit open", "bad"),
}


def webhooks(overview: Overview, room: Room) -> Markup:
    """Return one row a webhook, those whose events wait first."""
    every = sorted(
        overview.webhooks or (), key=lambda each: each.status is not WebhookStatus.CIRCUIT_DISABLED
    )
    heads = ("Webhook", "State", "Attempts accepted", "Retries", "Waiting", "Last attempt")
    rows = room.fit(
        every, lambda each: table_row(_webhook(each, overview.at)), _MOST_WEBHOOKS_BYTES
    )
    return tag(
        "section",
        tag("h2", "Webhooks"),
        table(heads, rows.shown, "webhooks")
        if every
        else tag("p", "None is added: openclick webhook add.", class_="note"),
        more(rows.left_out, "openclick webhook list"),
    )


def _webhook(webhook: WebhookFigures, now: Instant) -> list[object]:
    pill, style = _WEBHOOK_PILLS[webhook.status]
    backlog, last = webhook.backlog, webhook.last_attempt
    waiting: list[object] = [data(backlog.pending_deliveries), " deliveries"]
    if backlog.oldest_event_at is not None:
        waiting += ["; oldest event ", ago(backlog.oldest_event_at, now)]
    if webhook.abandoned:
        waiting += ["; ", data(webhook.abandoned), " given up"]
    ended: list[object] = ["none yet"]
    if last is not None:
        ended = [str(last.status_code or "no answer"), ", ", ago(last.finished_at, now)]
        ended += [] if last.accepted else [failure(last.error)]
    return [
        [
            tag("b", clip(webhook.name or webhook.webhook_id, MOST_LABEL)),
            " ",
            tag("span", clip(origin_of(webhook.url), MOST_LABEL), class_="mono"),
        ],
        tag("span", pill, class_=f"pill {style}"),
        [percent(webhook.accepted, webhook.attempts), " of ", data(webhook.attempts)],
        data(webhook.retries),
        waiting,
        ended,
    ]


def form(name: str) -> Markup:
    """Return what asks for the events of one message; `name` is what was asked for."""
    # A longer name is looked up all the same, and stands in the address alone.
    shown = name if len(name) <= MOST_NAME else ""
    return tag(
        "form",
        tag("label", "Queue id, email id or Message-ID", for_="message"),
        tag("input", type="search", id="message", name="message", value=shown, autocomplete="off"),
        tag("button", "Show"),
        tag("a", "All", href="?") if name else None,
        method="get",
        action="#events",
    )


def events(
    asked: Markup, name: str, found: tuple[RecentEvent, ...], fault: str, now: Instant, room: Room
) -> Markup:
    """Return the newest events, or those of the messages that `name` names; `asked` is the form."""
    heads = ("When", "Event", "Who", "Domain", "Queue id", "Link")
    nothing = clip(fault, MOST_WORDS) or (f"No event of {clip(name, 80)}." if name else "None yet.")
    rows = room.fit(found, lambda each: table_row(_event(each, now)))
    return tag(
        "section",
        tag("h2", "Events"),
        asked,
        table(heads, rows.shown, "events") if found else tag("p", nothing, class_="note"),
        more(rows.left_out, "openclick events"),
        id="events",
    )


def _event(event: RecentEvent, now: Instant) -> list[object]:
    clicked = event.type is EventType.CLICKED
    word, style = ("clicked", "clicks") if clicked else ("opened", "people")
    who = clip(f"{event.source} {event.visitor}".strip(), MOST_LABEL) or "–"
    # What is left once the message row is gone.
    name = event.queue_id or format_email_id(event.email_id)
    shown = clip(name, 24 if event.queue_id else 15)
    link = f"?{urlencode({'message': name})}#events" if len(name) <= MOST_LABEL else None
    return [
        clock(event.occurred_at, now),
        tag("span", word, class_=f"dot {style}"),
        tag("span", who, title=clip(event.rule, MOST_LABEL) or None),
        clip(event.sending_domain, MOST_NAME) or "–",
        tag("a", shown, href=link, class_="mono"),
        tag("span", clip(event.destination, MOST_LABEL), class_="link") if clicked else "",
    ]


def health(overview: Overview, readings: Readings) -> Markup:
    """Return how the two daemons and the store are."""
    return tag(
        "section",
        tag("h2", "Daemons and store"),
        tag(
            "div",
            _milter(overview.heartbeat, overview.at),
            _sidecar(readings, overview.at),
            _store(overview),
            class_="cards",
        ),
    )


def _milter(beat: Heartbeat | None, now: Instant) -> Markup:
    if beat is None:
        return _daemon("Milter", ("never seen", "bad"), [fact("Last sign of life", "never")])
    alive = now - beat.beat_at <= SILENT_SECONDS * SECOND
    counts = beat.counters
    return _daemon(
        "Milter",
        ("alive", "good") if alive else ("silent", "bad"),
        [
            fact("Last sign of life", ago(beat.beat_at, now)),
            fact("Started", ago(beat.started_at, now), f" (pid {beat.pid})"),
            fact("Version", beat.version),
            fact("Last connection from Postfix", ago(beat.connected_at, now)),
            *_work(WorkTimes.of(counts)),
            *(
                fact(title, data(counts.get(name, 0)))
                for title, name in (
                    ("Instrumented", "instrumented"),
                    ("Untouched", "untouched"),
                    ("Not ours", "foreign"),
                    ("Links replaced", "links"),
                    ("Faults", "faults"),
                )
            ),
        ],
    )


def _work(times: WorkTimes) -> list[Markup]:
    """Return within what time half of the messages, and 95 of 100, were worked on."""
    facts = []
    for name, share in (("median", 0.5), ("95 %", 0.95)):
        bound = times.within_seconds(share)
        if bound is not None:
            told = "> 5 s" if bound == float("inf") else f"≤ {milliseconds(bound)}"
            facts.append(fact(f"Work on a message, {name}", told))
    return facts


def _sidecar(readings: Readings, now: Instant) -> Markup:
    hits = readings.hits
    return _daemon(
        "Sidecar",
        ("answers", "good"),
        [
            fact("Started", ago(int(readings.started_at_seconds * SECOND), now)),
            fact("Version", __version__),
            fact("Connections", data(readings.connections)),
            fact("Hits recorded", data(hits.get("recorded", 0))),
            fact("Hits journaled", data(hits.get("journaled", 0))),
            fact("Hits lost", data(hits.get("lost", 0))),
            fact("Hits waiting", data(readings.hits_waiting)),
        ],
    )


def _store(overview: Overview) -> Markup:
    free = overview.free_bytes
    return _daemon(
        "Store",
        ("faulty", "bad") if overview.faults else ("readable", "good"),
        [
            *(
                fact(each.name, size(each.size_bytes), f" + {size(each.log_bytes)} WAL")
                for each in overview.files
            ),
            fact("Free", "unknown" if free is None else size(free)),
        ],
    )


def _daemon(title: str, pill: tuple[str, str], facts: list[Markup]) -> Markup:
    return tag(
        "article",
        tag(
            "div", tag("h3", title), tag("span", pill[0], class_=f"pill {pill[1]}"), class_="title"
        ),
        tag("dl", *facts, class_="plain"),
    )
