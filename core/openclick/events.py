"""The events that webhooks receive, field by field.

Called by the judge, which stores the finished bytes; nothing re-serialises an event afterwards.
The shape is Anypost's webhook event: {id, type, occurred_at, data}.  Pure.

    data.email_id    ours: email_ and a UUIDv7; the same for all events of one message
    data.message_id  the Message-ID header, or null
    data.from        the envelope sender
    data.recipient   the one recipient; null where the message had several
    data.recipients  every recipient of the message's envelope: the candidates
    data.subject     the subject as decoded text, at most 998 characters, or null
    data.tags, data.topic, data.campaign   the app's labels ([] or null where none)
    data.headers     the app's own X- fields, names in lower case with underscores
    data.tracking    {ip, user_agent, url (clicks only), bot (image proxies only)}

Where the message row is gone (retention), the event carries what the token holds: email_id and
url; the other fields are null or empty.  Which sending domain it is for follows from the tracking
domain, so that webhooks of that domain get it all the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from openclick.hits import Hit
from openclick.ids import event_id, format_email_id
from openclick.instants import Instant, iso
from openclick.messages import Labels, Message
from openclick.tokens import Kind


class EventType(StrEnum):
    """The names of the events that OpenClick makes."""

    OPENED = "email.opened"
    CLICKED = "email.clicked"


EVENT_OF_KIND = {Kind.OPEN: EventType.OPENED, Kind.CLICK: EventType.CLICKED}


@dataclass(frozen=True)
class Bot:
    """The machine that a counted hit came through: an image proxy, named by its owner."""

    source: str
    kind: str = "proxy"


@dataclass(frozen=True)
class Event:
    """One finished event: what it is found by, and the bytes that every webhook gets.

    `recipient` is in lower case, and None where it is not certain.
    """

    event_id: str
    type: EventType
    occurred_at: Instant
    email_id: bytes
    sending_domain: str | None
    body: bytes
    message_id: str | None = None
    recipient: str | None = None
    labels: Labels = field(default_factory=Labels)


def make_event(
    hit: Hit, message: Message | None, bot: Bot | None, sending_domain: str | None = None
) -> Event:
    """Return the event that `hit` becomes; `message` is None where its row is gone.

    `sending_domain` is whose tracking domain the hit came to; a message's own word goes before.
    """
    kind = EVENT_OF_KIND[hit.kind]
    recipients = message.recipients if message else ()
    payload = {
        "id": event_id(hit.hit_id),
        "type": kind.value,
        "occurred_at": iso(hit.received_at),
        "data": {
            "email_id": format_email_id(hit.email_id),
            **_message_fields(message),
            "tracking": _tracking(hit, bot),
        },
    }
    return Event(
        event_id=event_id(hit.hit_id),
        type=kind,
        occurred_at=hit.received_at,
        email_id=hit.email_id,
        sending_domain=message.sending_domain if message else sending_domain,
        body=json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "backslashreplace"
        ),
        message_id=message.message_id if message else None,
        recipient=recipients[0].lower() if len(recipients) == 1 else None,
        labels=message.labels if message else Labels(),
    )


def _message_fields(message: Message | None) -> dict[str, Any]:
    if message is None:
        recipients: tuple[str, ...] = ()
        return _fields(None, None, recipients, None, [], None, None, {})
    labels = message.labels
    return _fields(
        message.message_id,
        message.sender,
        message.recipients,
        message.subject,
        list(labels.tags),
        labels.topic,
        labels.campaign,
        message.headers,
    )


def _fields(
    message_id: str | None,
    sender: str | None,
    recipients: tuple[str, ...],
    subject: str | None,
    tags: list[str],
    topic: str | None,
    campaign: str | None,
    headers: dict[str, str],
) -> dict[str, Any]:
    return {
        "message_id": message_id,
        "from": sender,
        "recipient": recipients[0] if len(recipients) == 1 else None,
        "recipients": list(recipients),
        "subject": subject,
        "tags": tags,
        "topic": topic,
        "campaign": campaign,
        "headers": headers,
    }


def _tracking(hit: Hit, bot: Bot | None) -> dict[str, Any]:
    tracking: dict[str, Any] = {"ip": hit.ip, "user_agent": hit.user_agent}
    if hit.kind is Kind.CLICK:
        tracking["url"] = hit.destination
    if bot is not None:
        tracking["bot"] = {"source": bot.source, "kind": bot.kind}
    return tracking
