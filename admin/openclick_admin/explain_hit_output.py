"""How `openclick explain hit` prints: judged hits, verdicts and summaries, to people or programs.

Called by `explain_hit`.  Promises: the keys of the JSON are the glossary's words and stay; nothing
that a stranger's request holds reaches a terminal as a control sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from openclick.ids import format_email_id
from openclick.instants import iso
from openclick.messages import Message
from openclick.tokens import Kind
from openclick.verdicts import JudgedHit, Verdict
from openclick_admin.access_log import Summary
from openclick_admin.explain_output import plain, show_fields
from openclick_admin.output import print_table

KIND_NAMES = {Kind.OPEN: "open", Kind.CLICK: "click"}


def judged_as_json(judged: JudgedHit, message: Message | None) -> dict[str, Any]:
    """Return a judged hit as programs get it."""
    return {
        "event_id": judged.event_id,
        "kind": KIND_NAMES[judged.kind],
        "received_at": iso(judged.received_at),
        "judged_at": iso(judged.judged_at),
        **verdict_as_json(judged.verdict),
        "ip": judged.ip,
        "user_agent": judged.user_agent,
        "email_id": format_email_id(judged.email_id),
        "copy": judged.copy.hex(),
        "link_index": judged.link_index if judged.kind is Kind.CLICK else None,
        "destination": _destination(judged, message),
    }


def verdict_as_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as programs get it."""
    return {
        "visitor": verdict.visitor.value,
        "rule": verdict.rule,
        "evidence": verdict.evidence,
        "source": verdict.source or None,
        "counts": verdict.counts,
    }


def summary_as_json(summary: Summary) -> dict[str, Any]:
    """Return what a log holds as programs get it."""
    return {
        "lines": summary.lines,
        "hits": summary.hits,
        "other_requests": summary.other_requests,
        "bad_lines": summary.bad_lines,
        "first_bad_line": summary.first_bad_line or None,
        "verdicts": [
            {
                "visitor": verdict.visitor.value,
                "rule": verdict.rule,
                "source": verdict.source or None,
                "counts": verdict.counts,
                "hits": hits,
                "example": example,
            }
            for verdict, hits, example in _ordered(summary)
        ],
    }


def show_judged(judged: JudgedHit, message: Message | None) -> None:
    """Print one judged hit."""
    click.echo(f"{KIND_NAMES[judged.kind]} by {_told(judged.verdict)}")
    click.echo()
    show_fields(
        [
            ("rule", judged.verdict.rule),
            ("evidence", judged.verdict.evidence),
            ("event_id", judged.event_id or "none: dropped"),
            ("received_at", iso(judged.received_at)),
            ("judged_at", iso(judged.judged_at)),
            ("ip", judged.ip),
            ("user agent", judged.user_agent or "none"),
            ("email_id", format_email_id(judged.email_id)),
            ("copy", judged.copy.hex()),
            ("link", None if judged.kind is Kind.OPEN else str(judged.link_index)),
            ("destination", _destination(judged, message)),
            ("recipients", ", ".join(message.recipients) if message else None),
            ("subject", message.subject if message else None),
        ]
    )


def show_all_judged(judged: Sequence[JudgedHit]) -> None:
    """Print the hits of a message."""
    counted = sum(each.verdict.counts for each in judged)
    click.echo(f"{len(judged)} hits: {counted} counted, {len(judged) - counted} dropped")
    click.echo()
    rows = [
        [
            iso(each.received_at),
            "open" if each.kind is Kind.OPEN else f"link {each.link_index}",
            _told(each.verdict),
            each.verdict.rule,
            each.ip,
            each.verdict.evidence or f"user agent: {each.user_agent}",
        ]
        for each in judged
    ]
    columns = ("WHEN", "WHAT", "VERDICT", "RULE", "ADDRESS", "EVIDENCE")
    print_table(columns, [[plain(cell) for cell in row] for row in rows], "")


def show_verdicts(verdicts: Sequence[tuple[Kind, Verdict]]) -> None:
    """Print what the rules say of one request, for each kind of hit."""
    print_table(
        ("AS", "VERDICT", "RULE", "EVIDENCE"),
        [
            [KIND_NAMES[kind], _told(verdict), verdict.rule, plain(verdict.evidence)]
            for kind, verdict in verdicts
        ],
        "",
    )


def show_summary(summary: Summary) -> None:
    """Print what a log holds."""
    counted = sum(hits for verdict, hits, _ in _ordered(summary) if verdict.counts)
    click.echo(
        f"{summary.hits} hits: {counted} counted, {summary.hits - counted} dropped; "
        f"{summary.other_requests} other requests"
    )
    if summary.bad_lines:
        click.echo(
            f"{summary.bad_lines} of {summary.lines} lines are not in the combined format, "
            f"first line {summary.first_bad_line}"
        )
    click.echo()
    print_table(
        ("VERDICT", "RULE", "HITS", "SHARE", "FOR EXAMPLE"),
        [
            [_told(verdict), verdict.rule, str(hits), f"{hits / summary.hits:.1%}", plain(example)]
            for verdict, hits, example in _ordered(summary)
        ],
        "",
    )


def _told(verdict: Verdict) -> str:
    source = f" ({verdict.source})" if verdict.source else ""
    return f"{verdict.visitor.value}{source}{'' if verdict.counts else ', dropped'}"


def _destination(judged: JudgedHit, message: Message | None) -> str | None:
    if message is None or judged.kind is Kind.OPEN:
        return None
    links = {link.index: link.destination for link in message.links}
    return links.get(judged.link_index)


def _ordered(summary: Summary) -> list[tuple[Verdict, int, str]]:
    """Return the shares, counted ones first, then by size."""
    rows = [(verdict, share.hits, share.example) for verdict, share in summary.shares.items()]
    return sorted(rows, key=lambda row: (not row[0].counts, -row[1], row[0].rule))
