"""The parts of the status page that list something: domains, webhooks, events, the daemons.

Called by `page`.  Pure.  Limits: of many domains those with the most messages are shown, and the
page says how many are not.
"""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from openclick import __version__
from openclick.domains import SendingDomain, TrackingStatus
from openclick.events import EventType
from openclick.figures import Engagement, Row
from openclick.ids import format_email_id
from openclick.instants import SECOND, Instant
from openclick.store import Heartbeat, RecentEvent, WebhookFigures
from openclick.tracking_certificates import CertificateStatus, TrackingCertificate
from openclick.webhooks import WebhookStatus
from openclick.work_times import WorkTimes
from openclick_sidecar.metrics import Readings
from openclick_sidecar.status.charts import spark
from openclick_sidecar.status.markup import Markup, tag
from openclick_sidecar.status.overview import DAYS, DomainActivity, Overview
from openclick_sidecar.status.words import (
    ago,
    clock,
    data,
    date,
    milliseconds,
    number,
    percent,
    size,
)
from openclick_sidecar.store_state import SILENT_SECONDS

MOST_DOMAINS = 30
_NO_ACTIVITY = DomainActivity(Row(""), (), (0,) * DAYS)
_DOMAIN_PILLS = {
    TrackingStatus.VERIFIED: ("verified", "good"),
    TrackingStatus.PENDING: ("not verified", "warn"),
    TrackingStatus.DISABLED: ("tracking off", "off"),
}
_WEBHOOK_PILLS = {
    WebhookStatus.ACTIVE: ("active", "good"),
    WebhookStatus.DISABLED: ("disabled", "off"),
    WebhookStatus.CIRCUIT_DISABLED: ("circuit open", "bad"),
}


def domains(overview: Overview) -> Markup:
    """Return a card for each sending domain, those with the most messages first."""
    counted = overview.activity.domains if overview.activity else {}
    added = {each.name: each for each in overview.domains or ()}
    # Mail of domains that are removed by now still counts in the totals.
    names = sorted(
        {*added, *counted},
        key=lambda name: (-counted.get(name, _NO_ACTIVITY).row.messages, name not in added, name),
    )
    left = len(names) - MOST_DOMAINS
    return tag(
        "section",
        tag("h2", "Sending domains"),
        tag(
            "div",
            [
                _domain(name, added.get(name), counted.get(name, _NO_ACTIVITY), overview)
                for name in names[:MOST_DOMAINS]
            ],
            class_="cards",
        ),
        tag("p", f"{number(left)} more: openclick domain list.", class_="note")
        if left > 0
        else None,
        None if names else tag("p", "None is added.", class_="note"),
    )


def _domain(
    name: str, domain: SendingDomain | None, activity: DomainActivity, overview: Overview
) -> Markup:
    row = activity.row
    pill, style = _DOMAIN_PILLS[domain.tracking_status] if domain else ("not added", "off")
    return tag(
        "article",
        tag(
            "div",
            tag("h3", name or "(message rows gone)"),
            tag("span", pill, class_=f"pill {style}") if name else None,
            class_="title",
        ),
        _tracking(domain, overview) if domain else None,
        spark(activity.daily, "people", f"Opens and clicks of {name} by day"),
        tag(
            "dl",
            _fact("Messages", data(row.messages)),
            _fact("Tracked", data(row.tracked), f" {percent(row.tracked, row.copies)}"),
            _fact("Opened", data(row.opens.unique), f" {percent(row.opens.unique, row.tracked)}"),
            _fact(
                "Clicked", data(row.clicks.unique), f" {percent(row.clicks.unique, row.tracked)}"
            ),
            class_="numbers",
        ),
        _visitors(row),
        _reasons(activity),
        data_domain=name,
    )


def _tracking(domain: SendingDomain, overview: Overview) -> Markup:
    name = domain.tracking_domain
    return tag(
        "p",
        tag("span", name or "no tracking domain", class_="mono"),
        ", checked ",
        ago(domain.checked_at, overview.at),
        *_certificate(overview.certificates.get(name), overview.at),
        _failure(domain.failure.message) if domain.failure else None,
        class_="facts",
    )


def _certificate(certificate: TrackingCertificate | None, now: Instant) -> list[object]:
    if certificate is None:
        return [", plain http"]
    ends_at = certificate.not_after_at
    told: list[object] = [", no certificate"]
    if ends_at is not None:
        word = "expired" if certificate.status(now) is CertificateStatus.EXPIRED else "expires"
        told = [f", certificate {word} ", ago(ends_at, now), f" ({date(ends_at)})"]
    failure = certificate.file_fault or certificate.failure_message
    return [*told, _failure(failure)] if failure else told


def _failure(text: str) -> Markup:
    return tag("span", text, class_="failure")


def _visitors(row: Row) -> Markup:
    return tag(
        "table",
        tag(
            "thead",
            tag("tr", tag("td"), *(tag("th", name) for name in ("people", "proxies", "dropped"))),
        ),
        tag("tbody", _visits("Opens", row.opens), _visits("Clicks", row.clicks)),
        class_="visitors",
    )


def _visits(name: str, counts: Engagement) -> Markup:
    return tag(
        "tr",
        tag("th", name, scope="row"),
        *(tag("td", data(count)) for count in (counts.people, counts.proxies, counts.dropped)),
    )


def _reasons(activity: DomainActivity) -> Markup | None:
    if not activity.reasons:
        return None
    return tag(
        "details",
        tag("summary", data(activity.row.untouched), " untouched, and why"),
        tag(
            "ul",
            [tag("li", data(each.copies), " ", each.reason) for each in activity.reasons],
        ),
    )


def _fact(name: str, *value: object) -> Markup:
    return tag("div", tag("dt", name), tag("dd", *value))


def webhooks(overview: Overview) -> Markup:
    """Return one row a webhook."""
    shown = overview.webhooks or ()
    heads = ("Webhook", "State", "Attempts accepted", "Retries", "Waiting", "Last attempt")
    return tag(
        "section",
        tag("h2", "Webhooks"),
        _table(heads, [_webhook(each, overview.at) for each in shown], "webhooks")
        if shown
        else tag("p", "None is added: openclick webhook add.", class_="note"),
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
        ended += [] if last.accepted else [_failure(last.error)]
    return [
        [
            tag("b", webhook.name or webhook.webhook_id),
            " ",
            tag("span", _origin(webhook.url), class_="mono"),
        ],
        tag("span", pill, class_=f"pill {style}"),
        [percent(webhook.accepted, webhook.attempts), " of ", data(webhook.attempts)],
        data(webhook.retries),
        waiting,
        ended,
    ]


def _origin(url: str) -> str:
    """Return where a webhook is; what follows the host may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def events(name: str, shown: tuple[RecentEvent, ...], fault: str, now: Instant) -> Markup:
    """Return the newest events, or those of the messages that `name` names."""
    form = tag(
        "form",
        tag("label", "Queue id, email id or Message-ID", for_="message"),
        tag("input", type="search", id="message", name="message", value=name, autocomplete="off"),
        tag("button", "Show"),
        tag("a", "All", href="?") if name else None,
        method="get",
        action="#events",
    )
    heads = ("When", "Event", "Who", "Domain", "Queue id", "Link")
    nothing = fault or (f"No event of {name}." if name else "None yet.")
    return tag(
        "section",
        tag("h2", "Events"),
        form,
        _table(heads, [_event(each, now) for each in shown], "events")
        if shown
        else tag("p", nothing, class_="note"),
        id="events",
    )


def _event(event: RecentEvent, now: Instant) -> list[object]:
    clicked = event.type is EventType.CLICKED
    word, style = ("clicked", "clicks") if clicked else ("opened", "people")
    who = f"{event.source} {event.visitor}".strip() or "–"
    # What is left once the message row is gone.
    name = event.queue_id or format_email_id(event.email_id)
    shown = name if event.queue_id else f"{name[:14]}…"
    return [
        clock(event.occurred_at, now),
        tag("span", word, class_=f"dot {style}"),
        tag("span", who, title=event.rule or None),
        event.sending_domain or "–",
        tag("a", shown, href=f"?{urlencode({'message': name})}#events", class_="mono"),
        tag("span", event.destination, class_="link") if clicked else "",
    ]


def _table(heads: tuple[str, ...], rows: list[list[object]], style: str) -> Markup:
    """Return a table, whose style says how it is folded up on a narrow screen."""
    return tag(
        "div",
        tag(
            "table",
            tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
            tag(
                "tbody",
                [tag("tr", *(tag("td", cell) for cell in row)) for row in rows],
            ),
            class_=f"list {style}",
        ),
        class_="wide",
    )


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
        return _daemon("Milter", ("never seen", "bad"), [_fact("Last sign of life", "never")])
    alive = now - beat.beat_at <= SILENT_SECONDS * SECOND
    counts = beat.counters
    return _daemon(
        "Milter",
        ("alive", "good") if alive else ("silent", "bad"),
        [
            _fact("Last sign of life", ago(beat.beat_at, now)),
            _fact("Started", ago(beat.started_at, now), f" (pid {beat.pid})"),
            _fact("Version", beat.version),
            _fact("Last connection from Postfix", ago(beat.connected_at, now)),
            *_work(WorkTimes.of(counts)),
            *(
                _fact(title, data(counts.get(name, 0)))
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
            facts.append(_fact(f"Work on a message, {name}", told))
    return facts


def _sidecar(readings: Readings, now: Instant) -> Markup:
    hits = readings.hits
    return _daemon(
        "Sidecar",
        ("answers", "good"),
        [
            _fact("Started", ago(int(readings.started_at_seconds * SECOND), now)),
            _fact("Version", __version__),
            _fact("Connections", data(readings.connections)),
            _fact("Hits recorded", data(hits.get("recorded", 0))),
            _fact("Hits journaled", data(hits.get("journaled", 0))),
            _fact("Hits lost", data(hits.get("lost", 0))),
            _fact("Hits waiting", data(readings.hits_waiting)),
        ],
    )


def _store(overview: Overview) -> Markup:
    free = overview.free_bytes
    return _daemon(
        "Store",
        ("faulty", "bad") if overview.faults else ("readable", "good"),
        [
            *(
                _fact(each.name, size(each.size_bytes), f" + {size(each.log_bytes)} WAL")
                for each in overview.files
            ),
            _fact("Free", "unknown" if free is None else size(free)),
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
