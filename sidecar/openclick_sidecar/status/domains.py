"""The sending domains on the status page: cards of the busiest, and a line for each other one.

Called by `page`.  Pure.
"""

from __future__ import annotations

from openclick.domains import SendingDomain, TrackingStatus
from openclick.figures import Engagement, Row
from openclick.instants import Instant
from openclick.tracking_certificates import CertificateStatus, TrackingCertificate
from openclick_sidecar.status.charts import spark
from openclick_sidecar.status.lists import (
    MOST_LABEL,
    MOST_NAME,
    fact,
    failure,
    more,
    table,
    table_row,
)
from openclick_sidecar.status.markup import Markup, tag
from openclick_sidecar.status.overview import DAYS, DomainActivity, Overview
from openclick_sidecar.status.room import Room, clip
from openclick_sidecar.status.words import ago, data, date, number, percent

MOST_CARDS = 6
_MOST_REASONS = 8
_LEFT_TO_EVENTS = 6_000
_HEADS = ("Domain", "State", "Messages", "Tracked", "Opened", "Clicked")
_NO_ACTIVITY = DomainActivity(Row(""), (), (0,) * DAYS)
_PILLS = {
    TrackingStatus.VERIFIED: ("verified", "good"),
    TrackingStatus.PENDING: ("not verified", "warn"),
    TrackingStatus.DISABLED: ("tracking off", "off"),
}


def section(overview: Overview, room: Room) -> Markup:
    """Return a card for each of the busiest domains, and a line for each of the others."""
    counted = overview.activity.domains if overview.activity else {}
    added = {each.name: each for each in overview.domains or ()}
    # Mail of domains that are removed by now still counts in the totals.
    names = sorted(
        {*added, *counted},
        key=lambda name: (-counted.get(name, _NO_ACTIVITY).row.messages, name not in added, name),
    )
    share = room.bytes_left - _LEFT_TO_EVENTS

    def card(name: str) -> Markup:
        return _card(name, added.get(name), counted.get(name, _NO_ACTIVITY), overview)

    def line(name: str) -> Markup:
        return table_row(_line(name, added.get(name), counted.get(name, _NO_ACTIVITY).row))

    busiest = names[:MOST_CARDS]
    if len(names) > MOST_CARDS:
        busiest = [each for each in busiest if each in counted]
    cards = room.fit(busiest, card, share)
    share -= sum(len(each.encode("utf-8")) for each in cards.shown)
    lines = room.fit(names[len(cards.shown) :], line, share)
    return tag(
        "section",
        tag("h2", "Sending domains"),
        tag("div", list(cards.shown), class_="cards"),
        table(_HEADS, lines.shown, "domains") if lines.shown else None,
        more(lines.left_out, "openclick domain list"),
        None if names else tag("p", "None is added.", class_="note"),
    )


def _line(name: str, domain: SendingDomain | None, row: Row) -> list[object]:
    pill, style = _PILLS[domain.tracking_status] if domain else ("not added", "off")
    return [
        clip(name, MOST_NAME) or "(message rows gone)",
        tag("span", pill, class_=f"pill {style}"),
        number(row.messages),
        [number(row.tracked), f" {percent(row.tracked, row.copies)}" if row.copies else None],
        percent(row.opens.unique, row.tracked),
        percent(row.clicks.unique, row.tracked),
    ]


def _card(
    name: str, domain: SendingDomain | None, activity: DomainActivity, overview: Overview
) -> Markup:
    row, shown = activity.row, clip(name, MOST_NAME)
    pill, style = _PILLS[domain.tracking_status] if domain else ("not added", "off")
    return tag(
        "article",
        tag(
            "div",
            tag("h3", shown or "(message rows gone)"),
            tag("span", pill, class_=f"pill {style}") if name else None,
            class_="title",
        ),
        _tracking(domain, overview) if domain else None,
        spark(activity.daily, "people", f"Opens and clicks of {shown} by day"),
        tag(
            "dl",
            fact("Messages", data(row.messages)),
            fact("Tracked", data(row.tracked), f" {percent(row.tracked, row.copies)}"),
            fact("Opened", data(row.opens.unique), f" {percent(row.opens.unique, row.tracked)}"),
            fact("Clicked", data(row.clicks.unique), f" {percent(row.clicks.unique, row.tracked)}"),
            class_="numbers",
        ),
        _visitors(row),
        _reasons(activity),
        data_domain=shown,
    )


def _tracking(domain: SendingDomain, overview: Overview) -> Markup:
    name = domain.tracking_domain
    return tag(
        "p",
        tag("span", clip(name, MOST_NAME) or "no tracking domain", class_="mono"),
        ", checked ",
        ago(domain.checked_at, overview.at),
        *_certificate(overview.certificates.get(name), overview.at),
        failure(domain.failure.message) if domain.failure else None,
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
    reason = certificate.file_fault or certificate.failure_message
    return [*told, failure(reason)] if reason else told


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
            [
                tag("li", data(each.copies), " ", clip(each.reason, MOST_LABEL))
                for each in activity.reasons[:_MOST_REASONS]
            ],
        ),
        more(activity.reasons[_MOST_REASONS:], "openclick stats"),
    )
