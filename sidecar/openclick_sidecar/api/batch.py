"""POST /v1/email/batch: up to 100 messages, each with an outcome of its own.

Answers 202 where every entry is queued, else 207; 503 where Postfix is not there for any of them.

How `defaults` fill an entry (docs/api.md):

    from, subject, reply_to, text, html, campaign, topic, tracking    the entry's own replaces
    cc, bcc, attachments    the entry's own come after
    headers                 by name, the entry's own win
    tags                    the default's first, each once
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from openclick.ids import format_email_id
from openclick.instants import iso
from openclick.logs import line
from openclick.store import StoreFault
from openclick_sidecar.api.answers import Answer, ok
from openclick_sidecar.api.email import refusal, told
from openclick_sidecar.api.faults import ApiFault, broken, unavailable
from openclick_sidecar.api.fields import Fields, Problems, read_object
from openclick_sidecar.api.known_domains import KnownDomains
from openclick_sidecar.api.outgoing import FIELD_NAMES, EmailReader, OutgoingEmail
from openclick_sidecar.api.router import Call, Route
from openclick_sidecar.api.sending import Send, Sending
from openclick_sidecar.api.submitter import Refused, Unavailable
from openclick_sidecar.api.workshop import Workshop

log = logging.getLogger(__name__)

MAX_EMAILS = 100
_JOINED = ("cc", "bcc", "attachments", "tags")
_MERGED = ("headers", "variables")

Outcome = ApiFault | None
"""What became of an entry; None is queued."""


@dataclass(frozen=True)
class Batch:
    """The resource."""

    sending: Sending
    domains: KnownDomains
    workshop: Workshop

    def routes(self) -> list[Route]:
        """Return its operations."""
        return [Route("POST", "/v1/email/batch", self.send, send_only=True)]

    async def send(self, call: Call) -> Answer:
        """Submit what can be submitted.  Raises ApiFault, StoreFault."""
        entries = await self.workshop.run(len(call.body), lambda: self._read(call.body))
        send = await self.sending.begin(call, len(entries))
        if send.answer is not None:
            return send.answer
        try:
            outcomes = await self._deliver_all(call, send, entries)
        except BaseException:
            self.sending.leave(send)
            raise
        if all(isinstance(each, ApiFault) and each.status == 503 for each in outcomes):
            self.sending.leave(send)
            raise unavailable(f"None was sent: {outcomes[0]}")
        return await self.sending.finish(send, _answer(send, outcomes))

    def _read(self, body: bytes) -> list[OutgoingEmail | ApiFault]:
        """Return each entry's email, or what is wrong with it.  Raises ApiFault for the whole."""
        problems = Problems()
        fields = Fields(read_object(body), problems)
        entries = fields.items("emails", MAX_EMAILS, required=True)
        for number, entry in enumerate(entries):
            if not isinstance(entry, dict):
                fields.wrong(f"emails.{number}", "need an object")
        defaults = fields.raw("defaults")
        if defaults is not None and not isinstance(defaults, dict):
            fields.wrong("defaults", "need an object")
        for name in defaults if isinstance(defaults, dict) else ():
            if name == "to":
                fields.wrong("defaults.to", "recipients are each entry's own")
            elif name not in FIELD_NAMES:
                fields.wrong(f"defaults.{name[:64]}", "there is no such field")
        fields.end()
        problems.check()
        reader = EmailReader(self.sending.header_prefix)
        return [_read_entry(reader, merge(defaults or {}, entry)) for entry in entries]

    async def _deliver_all(
        self, call: Call, send: Send, entries: list[OutgoingEmail | ApiFault]
    ) -> list[Outcome]:
        working = [
            Deferred.fromCoroutine(self._deliver(call, send, number, entry))
            for number, entry in enumerate(entries)
        ]
        return await gatherResults(working, consumeErrors=True)

    async def _deliver(
        self, call: Call, send: Send, number: int, entry: OutgoingEmail | ApiFault
    ) -> Outcome:
        if isinstance(entry, ApiFault):
            return entry
        try:
            await self.domains.require(call.key, entry.sender.domain)
            await self.sending.deliver(call, send, number, entry)
        except (ApiFault, Refused, Unavailable, StoreFault) as fault:
            return _outcome(entry, fault)
        except Exception:  # its neighbours are under way: they must not be sent twice for it
            log.exception(line(call.request_id, "internal error", entry=number))
            return broken(call.request_id)
        return None


def merge(defaults: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry with what it leaves open taken from the defaults.

    What is of a wrong type is left for the reader of the email to refuse.
    """
    merged = {**defaults, **{name: value for name, value in entry.items() if value is not None}}
    for name in _JOINED:
        ours, theirs = entry.get(name), defaults.get(name)
        if isinstance(ours, list) and isinstance(theirs, list):
            merged[name] = [*theirs, *ours]
    for name in _MERGED:
        ours, theirs = entry.get(name), defaults.get(name)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            merged[name] = _by_name(theirs, ours)
    return merged


def _by_name(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Merge header fields, whose names are the same in any case."""
    named = {name.lower() for name in ours}
    kept = {name: value for name, value in theirs.items() if name.lower() not in named}
    return {**kept, **ours}


def _read_entry(reader: EmailReader, value: Mapping[str, Any]) -> OutgoingEmail | ApiFault:
    try:
        return reader.read(value)
    except ApiFault as fault:
        return fault


def _outcome(
    entry: OutgoingEmail, fault: ApiFault | Refused | Unavailable | StoreFault
) -> ApiFault:
    """Return what a client is told of an entry that was not queued."""
    if isinstance(fault, Refused):
        return refusal(entry, fault)
    if isinstance(fault, Unavailable):
        return unavailable(told(fault))
    return fault if isinstance(fault, ApiFault) else unavailable(str(fault))


def _answer(send: Send, outcomes: list[Outcome]) -> Answer:
    data = [_entry(send, index, outcome) for index, outcome in enumerate(outcomes)]
    queued = sum(outcome is None for outcome in outcomes)
    summary = {"total": len(data), "queued": queued, "failed": len(data) - queued}
    return ok({"summary": summary, "data": data}, 202 if queued == len(data) else 207)


def _entry(send: Send, index: int, outcome: Outcome) -> dict[str, Any]:
    if outcome is not None:
        error = {"type": outcome.kind, "message": outcome.message}
        return {"status": "failed", "index": index, "error": error}
    return {
        "status": "queued",
        "index": index,
        "id": format_email_id(send.email_ids[index]),
        "created_at": iso(send.created_at),
    }
