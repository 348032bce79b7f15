"""How `openclick explain message` prints: explained files and message rows, to people or programs.

Called by `explain`.  Promises: the keys of the JSON are the glossary's words and stay; nothing that
a stranger's mail holds reaches a terminal as a control sequence (`plain`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import click

from openclick.ids import format_email_id
from openclick.instants import iso
from openclick.messages import Labels, Message, Outcome
from openclick.policy import Choice, Decision
from openclick.tokens import Kind
from openclick_admin.explain_file import Explained, ExplainedLink, Own, ReadPart
from openclick_admin.output import print_fields, print_table
from openclick_milter import envelope
from openclick_milter.instrument import ImageOutcome, Instrumented
from openclick_milter.reasons import Reason

_AS_IF = "as if submitted by a trusted client: trust is not evaluated offline"
_PLACES = (
    Reason.BEFORE_BODY_END,
    Reason.BEFORE_HTML_END,
    Reason.AT_END,
    Reason.AFTER_BODY_START,
)
_KINDS = {Kind.OPEN: "open", Kind.CLICK: "click"}
_LABEL_CHARS = len("tracking domain")


def file_as_json(explained: Explained) -> dict[str, Any]:
    """Return what is said of a message file as programs get it."""
    mail, image = explained.mail, _image(explained)
    outcome, reason = _outcome(explained)
    return {
        "outcome": outcome,
        "reason": reason,
        "assumed": _AS_IF,
        "notes": explained.notes,
        "message_id": envelope.first_value(mail.fields, "message-id"),
        "from": envelope.first_value(mail.fields, "from"),
        "subject": envelope.decoded_subject(mail.fields),
        "sending_domain": mail.sending_domain,
        "tracking_domain": _tracking_domain(explained),
        "decision": _decision_as_json(explained.trial.decision),
        "control_headers": {
            "removed": [removal.name for removal in reversed(mail.controls.removals)],
            "complaints": list(mail.controls.complaints),
        },
        **_labels_as_json(mail.controls.labels),
        "html_parts": [_part_as_json(read) for read in explained.parts],
        "links": [_link_as_json(link) for link in explained.links],
        "image": {"placed": image.placed, "reason": image.reason},
        "tokens": [_own_as_json(own) for own in explained.own],
        "readers_differ": explained.differences,
    }


def row_as_json(row: Message) -> dict[str, Any]:
    """Return a message row as programs get it."""
    return {
        "email_id": format_email_id(row.email_id),
        "copy": row.copy.hex(),
        "queue_id": row.queue_id,
        "first_queue_id": row.first_queue_id,
        "login": row.login,
        "message_id": row.message_id,
        "envelope_id": row.envelope_id,
        "created_at": iso(row.created_at),
        "outcome": row.outcome.value,
        "reason": row.reason,
        "sender": row.sender,
        "from": row.header_from,
        "recipients": list(row.recipients),
        "subject": row.subject,
        "sending_domain": row.sending_domain,
        "tracking_domain": row.tracking_domain,
        "decision": _decision_as_json(_decision(row)),
        **_labels_as_json(row.labels),
        "headers": row.headers,
        "links": [asdict(link) for link in row.links],
        "image": {"placed": row.image_reason in _PLACES, "reason": row.image_reason},
    }


def show_file(name: str, explained: Explained) -> None:
    """Print what is said of a message file."""
    mail, image = explained.mail, _image(explained)
    outcome, reason = _outcome(explained)
    click.echo(f"{plain(name)}: would be {outcome}{': ' if reason else ''}{reason}")
    for note in (_AS_IF, *explained.notes, *mail.controls.complaints):
        click.echo(f"({plain(note)})")
    click.echo()
    looked = "none" if any(not read.reason for read in explained.parts) else "none looked at"
    removed = sorted({removal.name for removal in mail.controls.removals})
    show_fields(
        [
            ("message_id", envelope.first_value(mail.fields, "message-id")),
            ("from", envelope.first_value(mail.fields, "from")),
            ("subject", envelope.decoded_subject(mail.fields)),
            ("sending domain", mail.sending_domain or "none"),
            ("tracking domain", _tracking_domain(explained)),
            *_decision_told(explained.trial.decision),
            *_labels_told(mail.controls.labels),
            ("removed headers", ", ".join(removed)),
            ("html parts", "; ".join(_part_told(read) for read in explained.parts)),
            ("open image", _image_told(image)),
            *_own_told(explained.own),
            ("links", _links_told([link.tracked for link in explained.links], looked)),
        ]
    )
    _show_links(*_link_table(explained, reason))
    for difference in explained.differences:
        click.echo(f"readers differ: {plain(difference)}")


def show_row(row: Message) -> None:
    """Print a message row."""
    image = ImageOutcome(row.image_reason in _PLACES, row.image_reason)
    show_fields(
        [
            ("outcome", f"{row.outcome.value}{': ' if row.reason else ''}{row.reason}"),
            ("email_id", format_email_id(row.email_id)),
            ("copy", row.copy.hex()),
            ("queue_id", row.queue_id),
            ("first_queue_id", row.first_queue_id),
            ("login", row.login),
            ("message_id", row.message_id),
            ("envelope_id", row.envelope_id),
            ("created_at", iso(row.created_at)),
            ("from", row.header_from),
            ("sender", row.sender or "<>"),
            ("recipients", ", ".join(row.recipients)),
            ("subject", row.subject),
            ("sending domain", row.sending_domain),
            ("tracking domain", row.tracking_domain),
            *_decision_told(_decision(row)),
            *_labels_told(row.labels),
            ("headers", "; ".join(f"{name}: {value}" for name, value in row.headers.items())),
            ("open image", _image_told(image)),
            ("links", _links_told([link.tracked for link in row.links], "")),
        ]
    )
    _show_links(
        ("#", "LINK", "WHAT"),
        [
            (str(link.index), link.destination, _what(link.tracked, link.reason))
            for link in row.links
        ],
    )


def show_fields(fields: Sequence[tuple[str, str | None]]) -> None:
    """Print the fields that have a value."""
    print_fields([(name, plain(value)) for name, value in fields if value])


def plain(text: str) -> str:
    """Return `text` with every control and formatting character spelled out."""
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "backslashreplace").decode("ascii")
        for character in text
    )


def _outcome(explained: Explained) -> tuple[str, str]:
    result = explained.trial.result
    if isinstance(result, Instrumented):
        return Outcome.INSTRUMENTED.value, ""
    return Outcome.UNTOUCHED.value, result.reason


def _tracking_domain(explained: Explained) -> str | None:
    return None if explained.domain is None else explained.domain.tracking_domain


def _image(explained: Explained) -> ImageOutcome:
    """Return where the open image goes; an untouched message has none, for its own reason."""
    result = explained.trial.result
    return result.image if isinstance(result, Instrumented) else ImageOutcome(False, result.reason)


def _decision(row: Message) -> Decision:
    return Decision(Choice(row.opens, row.opens_reason), Choice(row.clicks, row.clicks_reason))


def _decision_as_json(decision: Decision) -> dict[str, Any]:
    return {"opens": asdict(decision.opens), "clicks": asdict(decision.clicks)}


def _decision_told(decision: Decision) -> list[tuple[str, str]]:
    return [
        ("opens", f"{'on' if decision.opens.on else 'off'}: {decision.opens.reason}"),
        ("clicks", f"{'on' if decision.clicks.on else 'off'}: {decision.clicks.reason}"),
    ]


def _labels_as_json(labels: Labels) -> dict[str, Any]:
    return {"tags": list(labels.tags), "topic": labels.topic, "campaign": labels.campaign}


def _labels_told(labels: Labels) -> list[tuple[str, str | None]]:
    return [
        ("tags", ", ".join(labels.tags)),
        ("topic", labels.topic),
        ("campaign", labels.campaign),
    ]


def _part_as_json(read: ReadPart) -> dict[str, Any]:
    return {
        "part": read.part.number,
        "encoding": read.part.encoding,
        "charset": read.part.charset,
        "reason": read.reason,
    }


def _part_told(read: ReadPart) -> str:
    kind = ", ".join(filter(None, (read.part.encoding, read.part.charset)))
    about = f" ({kind})" if kind else ""
    return f"{read.part.number}{about}{': ' if read.reason else ''}{read.reason}"


def _image_told(image: ImageOutcome) -> str:
    """Return where the image is, or why there is none; "" where nothing is known."""
    return image.reason if image.placed or not image.reason else f"none: {image.reason}"


def _link_as_json(link: ExplainedLink) -> dict[str, Any]:
    return {
        "index": link.index,
        "part": link.part,
        "destination": link.destination,
        "tracked": link.tracked,
        "reason": link.reason,
        "token": link.own and _own_as_json(link.own),
    }


def _own_as_json(own: Own) -> dict[str, Any]:
    return {
        "kind": _KINDS[own.kind],
        "tracking_domain": own.tracking_domain,
        "email_id": format_email_id(own.token.email_id),
        "copy": own.token.copy.hex(),
        "link_index": own.token.link_index if own.kind is Kind.CLICK else None,
        "destination": own.token.destination or None,
    }


def _own_told(tokens: Sequence[Own]) -> Iterator[tuple[str, str]]:
    """Yield two fields for each copy that tokens of ours belong to."""
    copies: dict[tuple[str, bytes, bytes], Counter[Kind]] = {}
    for own in tokens:
        key = own.tracking_domain, own.token.email_id, own.token.copy
        copies.setdefault(key, Counter())[own.kind] += 1
    for (host, email_id, copy), kinds in copies.items():
        links, images = kinds[Kind.CLICK], kinds[Kind.OPEN]
        yield "ours already", f"{format_email_id(email_id)}, copy {copy.hex()}"
        yield "", f"tracking links: {links}, open images: {images}, of {host}"


def _link_table(explained: Explained, untouched: str) -> tuple[list[str], list[list[str]]]:
    """Return the columns and rows of a file's links; the part only where there are several.

    What keeps all links as they are is told once, above the table.
    """
    shared = {untouched: "message untouched", explained.trial.decision.clicks.reason: "clicks off"}
    columns, rows = ["#", "PART", "LINK", "WHAT"], []
    for link in explained.links:
        what = _what(link.tracked, shared.get(link.reason, link.reason))
        rows.append([str(link.index), str(link.part), _target(link), what])
    if len({link.part for link in explained.links}) < 2:
        columns, rows = columns[:1] + columns[2:], [row[:1] + row[2:] for row in rows]
    return columns, rows


def _target(link: ExplainedLink) -> str:
    """Return a link's destination; of a tracking link of ours what it seals."""
    if link.own is None:
        return link.destination
    token = link.own.token
    return f"{link.own.tracking_domain}, link {token.link_index}: {token.destination}"


def _what(tracked: bool, reason: str) -> str:
    return "tracked" if tracked else f"left: {reason}"


def _links_told(tracked: Sequence[bool], none: str) -> str:
    if not tracked:
        return none
    return f"{sum(tracked)} tracked, {len(tracked) - sum(tracked)} left alone"


def _show_links(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if rows:
        click.echo()
        print_table(columns, [[plain(cell) for cell in row] for row in rows], "")
