"""`openclick stats`: what was submitted, what was tracked, and what readers did.

    openclick stats                                  the last 30 days: totals, and why untouched
    openclick stats --by domain|campaign|day|message one row a domain, ...
    openclick stats --domain example.com --campaign spring --days 7

Days are UTC's.  What is counted: `openclick.store.statistics`.
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.console import Console

from openclick.figures import Row, rows, window_of_days
from openclick.ids import format_email_id
from openclick.instants import now
from openclick.store.statistics import DAY, Grouping, ReasonCount, Window
from openclick_admin.context import Admin, pass_admin
from openclick_admin.figures import as_json, sparkline
from openclick_admin.output import json_option, print_json, print_table

_GROUPINGS = {
    grouping.name.lower(): grouping
    for grouping in (Grouping.DAY, Grouping.DOMAIN, Grouping.CAMPAIGN, Grouping.MESSAGE)
}
_NOTHING = "Nothing: only mail of added domains counts (openclick domain list)."
_COLUMNS = (
    "messages", "tracked", "opens", "unique", "clicks", "unique", "dropped",
)  # fmt: skip


@click.command("stats")
@click.option(
    "--by", type=click.Choice([*_GROUPINGS]), help="One row for each, instead of the totals."
)
@click.option("--domain", metavar="NAME", help="Only this sending domain.")
@click.option("--campaign", metavar="NAME", help="Only this campaign.")
@click.option(
    "--days",
    type=click.IntRange(1, 10_000),
    default=30,
    show_default=True,
    help="How many days back, today included (UTC).",
)
@json_option
@pass_admin
def command(
    admin: Admin,
    by: str | None,
    domain: str | None,
    campaign: str | None,
    days: int,
    as_json: bool,
) -> None:
    """Count messages, opens and clicks.

    A message is tracked or untouched; opens and clicks are people's and image proxies'; hits of
    other machines are dropped.  "unique" counts the messages (their copies, where Postfix splits
    them) with at least one.
    """
    window = window_of_days(now(), days, domain, campaign)
    waiting = Console(stderr=True).status("counting ...")  # seen on a terminal alone
    with closing(admin.store.statistics()) as statistics, waiting:
        if by is not None:
            found = rows(statistics, window, _GROUPINGS[by])
        else:
            (total,) = rows(statistics, window, Grouping.ALL) or [Row("")]
            daily = rows(statistics, window, Grouping.DAY)
            reasons = statistics.reasons(window)
    if by is not None:
        _told_by(by, found) if not as_json else print_json(_by_as_json(by, found))
    elif as_json:
        print_json(_totals_as_json(window, total, daily, reasons))
    else:
        _told(window, total, daily, reasons)


def _told(window: Window, total: Row, daily: list[Row], reasons: list[ReasonCount]) -> None:
    if not (total.copies or total.opens.counted or total.clicks.counted):
        click.echo(_NOTHING)
        return
    lines = [
        ("messages", total.messages, sparkline(row.messages for row in daily)),
        ("tracked", total.tracked, sparkline(row.tracked for row in daily)),
        ("untouched", total.untouched, sparkline(row.untouched for row in daily)),
    ]
    for name, whole, each in (
        ("opens", total.opens, [row.opens for row in daily]),
        ("clicks", total.clicks, [row.clicks for row in daily]),
    ):
        lines += [
            (f"{name}, unique", whole.unique, sparkline(one.unique for one in each)),
            (f"{name}, people", whole.people, sparkline(one.people for one in each)),
            (f"{name}, proxies", whole.proxies, sparkline(one.proxies for one in each)),
            (f"{name}, dropped", whole.dropped, sparkline(one.dropped for one in each)),
        ]
    shown = [(name, f"{number:,}", bars) for name, number, bars in lines]
    span = f"{_date(window.since // DAY)} to {_date(window.until // DAY - 1)}"
    print_table(("", "total", span), shown, "", numbers=(1,))
    if reasons:
        click.echo()
        told = [(count.reason, f"{count.copies:,}") for count in reasons]
        print_table(("untouched because", "copies"), told, "", numbers=(1,))


def _told_by(by: str, found: list[Row]) -> None:
    told = [
        (
            label(by, row.key),
            *(
                f"{number:,}"
                for number in (
                    row.messages,
                    row.tracked,
                    row.opens.counted,
                    row.opens.unique,
                    row.clicks.counted,
                    row.clicks.unique,
                    row.opens.dropped + row.clicks.dropped,
                )
            ),
        )
        for row in found
    ]
    print_table((by, *_COLUMNS), told, _NOTHING, numbers=range(1, 8))


def label(by: str, key: str) -> str:
    """Write a key as people know it: a date, an email id, "(none)" for no campaign."""
    if by == "day":
        return _date(int(key))
    if by == "message":
        return format_email_id(bytes.fromhex(key))
    return key or ("(none)" if by == "campaign" else "(row gone)")


def _date(day: int) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day):%Y-%m-%d}"


def _by_as_json(by: str, found: list[Row]) -> list[dict[str, Any]]:
    named = {"domain": "sending_domain", "message": "email_id"}.get(by, by)
    return [
        {named: label(by, row.key) if by in ("day", "message") else row.key or None} | as_json(row)
        for row in found
    ]


def _totals_as_json(
    window: Window, total: Row, daily: list[Row], reasons: list[ReasonCount]
) -> dict[str, Any]:
    return {
        "first_day": _date(window.since // DAY),
        "last_day": _date(window.until // DAY - 1),
        "sending_domain": window.domain,
        "campaign": window.campaign,
        **as_json(total),
        "untouched_by_reason": [
            {"reason": count.reason, "copies": count.copies} for count in reasons
        ],
        "days": _by_as_json("day", daily),
    }
