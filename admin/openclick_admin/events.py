"""`openclick events`: the events that were made, newest first, or as they come."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from openclick.logs import printable
from openclick.store import LoggedEvent
from openclick_admin.context import Admin, pass_admin
from openclick_admin.output import json_option, print_json, print_table

_FOLLOW_SECONDS = 0.5
_FOLLOW_BATCH = 100


@click.command("events")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@click.option("--follow", "-f", is_flag=True, help="Print new events as they come, until Ctrl-C.")
@json_option
@pass_admin
def command(admin: Admin, limit: int, follow: bool, as_json: bool) -> None:
    """List the newest events."""
    if follow:
        _follow(admin, as_json)
        return
    with admin.registry() as registry:
        events = registry.events.many_newest(limit)
    payloads = [json.loads(logged.event.body) for logged in events]
    if as_json:
        print_json(payloads)
        return
    print_table(
        ("WHEN", "EVENT", "RECIPIENT", "URL", "VIA", "SUBJECT"),
        [_row(payload) for payload in payloads],
        "No event yet.",
    )


def _follow(admin: Admin, as_json: bool) -> None:
    with admin.registry() as registry:
        newest = registry.events.many_newest(1)
        seq = newest[0].seq if newest else 0
        try:
            while True:
                batch = registry.events.many_after(seq, _FOLLOW_BATCH)
                for logged in batch:
                    seq = logged.seq
                    click.echo(_line(logged, as_json))
                if len(batch) < _FOLLOW_BATCH:  # else more is there already
                    time.sleep(_FOLLOW_SECONDS)
        except KeyboardInterrupt:
            return


def _line(logged: LoggedEvent, as_json: bool) -> str:
    if as_json:
        return logged.event.body.decode("utf-8")
    return "  ".join(map(printable, _row(json.loads(logged.event.body))))


def _row(payload: dict[str, Any]) -> tuple[str, ...]:
    data = payload["data"]
    tracking = data["tracking"]
    recipient = data["recipient"] or f"{len(data['recipients'])} candidates"
    via = tracking["bot"]["source"] if "bot" in tracking else ""
    return (
        payload["occurred_at"],
        payload["type"],
        recipient,
        tracking.get("url", ""),
        via,
        data["subject"] or "",
    )
