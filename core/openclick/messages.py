"""A message as the milter saw it: the row that events and `openclick explain` are made from.

Made by the milter, kept in messages.db, read by the judge and the command.  Pure data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from openclick.instants import Instant


class Outcome(StrEnum):
    """What became of a message."""

    INSTRUMENTED = "instrumented"
    UNTOUCHED = "untouched"


@dataclass(frozen=True)
class LinkRecord:
    """What was done with one link of a message.

    `index` is the number sealed into its token; `reason` says why it was left, and is empty for a
    tracked one.
    """

    index: int
    destination: str
    tracked: bool
    reason: str = ""


@dataclass(frozen=True)
class Labels:
    """What the app says of its message, for events: see `labels.py` for the syntax."""

    tags: tuple[str, ...] = ()
    topic: str | None = None
    campaign: str | None = None


@dataclass(frozen=True)
class Message:
    """One copy (one pass through the milter) of a message of an added domain.

    `email_id` has 16 bytes, `copy` 4; together they name the row.  `reason` explains an untouched
    message, and tells of an instrumented one which HTML parts were left as they are; `opens_reason`
    and `clicks_reason` explain the decision of each feature.  `headers` are the app's own X- fields
    as events carry them.  `first_queue_id` and `login` come from the first pass of a split and are
    information only.
    """

    email_id: bytes
    copy: bytes
    created_at: Instant
    outcome: Outcome
    reason: str
    queue_id: str
    message_id: str | None
    envelope_id: str | None
    sender: str
    header_from: str | None
    recipients: tuple[str, ...]
    subject: str | None
    sending_domain: str
    tracking_domain: str
    opens: bool
    opens_reason: str
    clicks: bool
    clicks_reason: str
    labels: Labels = field(default_factory=Labels)
    headers: dict[str, str] = field(default_factory=dict)
    links: tuple[LinkRecord, ...] = ()
    image_reason: str = ""
    first_queue_id: str | None = None
    login: str | None = None
