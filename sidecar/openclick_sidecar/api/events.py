"""GET /v1/events: the event log, newest first, by filters.

Promises: a key that is limited to sending domains sees their events alone; pages do not shift when
new events come in, nor when the default window moves on between two of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openclick.api_keys import ApiKey
from openclick.ids import parse_email_id
from openclick.instants import SECOND, Instant
from openclick.labels import MAX_TAGS, sort_tags
from openclick.names import BadName, domain_name
from openclick.store import EventQuery, FoundEvent, RegistryReader
from openclick.webhooks import ACCEPTED_EVENT_NAMES
from openclick_sidecar.api.answers import Answer
from openclick_sidecar.api.paging import limit_of, page, read_cursor, write_cursor
from openclick_sidecar.api.query import Query
from openclick_sidecar.api.reading_room import ReadingRoom
from openclick_sidecar.api.router import Call, Route

_DAY = 86_400 * SECOND


@dataclass(frozen=True)
class Events:
    """The resource."""

    room: ReadingRoom
    now: Callable[[], Instant]

    def routes(self) -> list[Route]:
        """Return its operations."""
        return [Route("GET", "/v1/events", self.list)]

    async def list(self, call: Call) -> Answer:
        """Answer with one page of events.  Raises ApiFault, StoreFault."""
        query = call.query
        domain = _domain(query)
        asked = self._read(query, call.key, domain)
        query.check()

        def search(reader: RegistryReader) -> list[FoundEvent] | None:
            if domain is not None and not _knows(reader, call.key, domain):
                return None
            return [] if asked is None else reader.event_search.many(asked)

        found = await self.room.run(search)
        if found is None:
            query.wrong("domain", "is no sending domain of yours")
        query.check()
        return _page(found or [], asked)

    def _read(self, query: Query, key: ApiKey, domain: str | None) -> EventQuery | None:
        """Return what is asked for, None where no event can be meant."""
        end = query.instant("end") or self.now()
        start, after = query.instant("start"), read_cursor(query, int, int, int)
        if start is None:
            start = after[2] if after else end - _DAY
        email_text, tags_text = query.text("email_id"), query.text("tags")
        tags = _tags(query, tags_text)
        email_id = _email_id(email_text)
        nothing = (
            (tags_text is not None and not tags)
            or (email_text is not None and email_id is None)
            or any(query.text(name) is not None for name in ("template_id", "ip_pool"))
        )
        recipient = query.text("recipient")
        asked = EventQuery(
            start=max(start, 0),
            end=end,
            limit=limit_of(query) + 1,
            after=after[:2] if after else None,
            type=_type(query),
            email_id=email_id,
            message_id=query.text("message_id"),
            recipient=recipient.lower() if recipient else None,
            topic=query.text("topic"),
            campaign=query.text("campaign"),
            tags=tags,
            domains=(domain,) if domain is not None else key.allowed_domains,
        )
        return None if nothing else asked


def _page(found: list[FoundEvent], asked: EventQuery | None) -> Answer:
    if asked is None or len(found) < asked.limit:
        return page([event_row(event) for event in found], None)
    shown = found[: asked.limit - 1]
    return page([event_row(event) for event in shown], write_cursor(*shown[-1].place, asked.start))


def event_row(found: FoundEvent) -> dict[str, Any]:
    """Return an event in the flat form of the list; every field is always there."""
    event = json.loads(found.body)
    data = event["data"]
    sender = data["from"] or ""
    tracking = data["tracking"]
    return {
        "id": event["id"],
        "type": event["type"],
        "occurred_at": event["occurred_at"],
        "email_id": data["email_id"],
        "message_id": data["message_id"],
        "from": data["from"],
        "from_domain": found.sending_domain or sender.rpartition("@")[2].lower() or None,
        "recipient": data["recipient"],
        "subject": data["subject"],
        "campaign": data["campaign"],
        "template_id": None,
        "topic": data["topic"],
        "tags": data["tags"],
        "ip_pool": None,
        "smtp_code": None,
        "bounce_type": None,
        "bounce_classification": None,
        "attempt": None,
        # A person's is null: that is how Anypost's clients tell one.
        "tracking": tracking if "bot" in tracking else None,
    }


def _type(query: Query) -> str | None:
    """Return the type asked for; Anypost's Zapier app calls the parameter `type`."""
    name = "event_type" if query.text("event_type") is not None else "type"
    kind = query.text(name)
    if kind is not None and kind not in ACCEPTED_EVENT_NAMES:
        query.wrong(name, f"need one of {', '.join(ACCEPTED_EVENT_NAMES)}")
    return kind


def _email_id(text: str | None) -> bytes | None:
    try:
        return parse_email_id(text) if text is not None else None
    except ValueError:
        return None


def _tags(query: Query, text: str | None) -> tuple[str, ...]:
    """Return the tags asked for; what can be no tag is dropped, as Anypost does."""
    if text is None:
        return ()
    candidates = [tag.strip() for tag in text.split(",") if tag.strip()]
    if len(candidates) > MAX_TAGS:
        query.wrong("tags", f"need at most {MAX_TAGS} tags")
    return sort_tags(candidates[:MAX_TAGS])[0]


def _domain(query: Query) -> str | None:
    text = query.text("domain")
    if text is None:
        return None
    try:
        return domain_name(text)
    except BadName as error:
        query.wrong("domain", str(error))
        return None


def _knows(reader: RegistryReader, key: ApiKey, domain: str) -> bool:
    return key.allows(domain) and reader.domains.maybe_domain(domain) is not None
