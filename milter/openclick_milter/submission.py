"""What one SMTP transaction has told us so far, and what is to be done about it.

Called by `callbacks`, event by event; knows the order of events but nothing of Milter.  A
`Submission` is made at MAIL and thrown away at the end of the message or at an abort.

Promises (DESIGN 1.1, 3.9): `end_of_message` returns edits only when the message row is on disk;
whatever fails before, it returns none, and one log line, queue id first, says why the message is
untouched.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum

from openclick.domains import SendingDomain
from openclick.ids import format_email_id
from openclick.instants import Instant, now
from openclick.keys import KeyDirectory, KeyFault
from openclick.logs import line
from openclick.messages import LinkRecord, Message, Outcome
from openclick.policy import Decision, decide
from openclick.settings import Config
from openclick.store import StoreFault
from openclick.tokens import KeyRing
from openclick_milter import envelope
from openclick_milter.controls import Controls, Removal, read_controls
from openclick_milter.counters import Counters
from openclick_milter.directory import DomainDirectory
from openclick_milter.draft import Transaction, bare_message, draft_message
from openclick_milter.gathered import GatheredBody
from openclick_milter.instrument import (
    Limits,
    Plan,
    Request,
    Untouched,
    plan,
    refused_by_header,
)
from openclick_milter.minter import TokenMinter
from openclick_milter.reasons import Reason
from openclick_milter.recorder import MessageRecorder, NotRecorded
from openclick_milter.rows import MessageRows, comes_again
from openclick_milter.trust import Client, Trust, trust

log = logging.getLogger(__name__)


class DeadlineExceeded(Exception):
    """A message took longer than `milter.deadline_seconds`."""


@dataclass(frozen=True)
class World:
    """What a submission needs from outside: settings, keys, domains, store, clock, randomness."""

    config: Config
    keys: KeyDirectory
    domains: DomainDirectory
    recorder: MessageRecorder
    rows: MessageRows
    counters: Counters
    now: Callable[[], Instant] = now
    monotonic: Callable[[], float] = time.monotonic
    randomness: Callable[[int], bytes] = os.urandom


class Next(Enum):
    """What Postfix should do after the headers."""

    ACCEPT = "accept: nothing is to be changed"
    SKIP_BODY = "headers are to be removed, the body is not needed"
    READ_BODY = "the body is to be instrumented"


@dataclass(frozen=True)
class Edits:
    """The changes to send to Postfix; `body` is the new one in pieces, None where it stays."""

    removals: tuple[Removal, ...] = ()
    body: Iterator[bytes] | None = None


@dataclass
class Submission:
    """One transaction, from MAIL to the end of the message."""

    world: World
    client: Client
    sender: str
    envelope_id: str | None = None
    recipients: list[str] = field(default_factory=list)
    fields: list[tuple[str, str]] = field(default_factory=list)
    _body: GatheredBody = field(default_factory=GatheredBody)
    _size_bytes: int = 0
    _controls: Controls | None = None
    _domain: SendingDomain | None = None
    _draft: Message | None = None
    _worked_seconds: float = 0.0

    def is_foreign(self) -> bool:
        """Tell at MAIL whether this can be no submission, whatever the header will hold."""
        return trust(self.client, self.world.config.milter) is Trust.NO

    def end_of_headers(self, queue_id: str) -> Next:
        """Decide what is to be done with the message; never raises."""
        began_at = self.world.monotonic()
        try:
            return self._end_of_headers(queue_id)
        except StoreFault as fault:
            return self._untouched_by_fault(queue_id, f"store: {fault}")
        except Exception as error:
            log.exception(line(queue_id, "internal error"))
            return self._untouched_by_fault(queue_id, f"internal error {error!r}")
        finally:
            self._worked_seconds += self.world.monotonic() - began_at

    def add_chunk(self, chunk: bytes) -> None:
        """Take a piece of the body; beyond the size limit only the size is kept."""
        self._size_bytes += len(chunk)
        if self._size_bytes <= self.world.config.milter.max_message_bytes:
            self._body.add(chunk)

    def end_of_message(self, queue_id: str) -> Edits:
        """Instrument, record, and return the edits; never raises."""
        began_at = self.world.monotonic()
        edits = self._end_of_message(queue_id)
        self._worked_seconds += self.world.monotonic() - began_at
        if self._draft is not None:
            self.world.counters.worked(self._worked_seconds)
        return edits

    def _end_of_message(self, queue_id: str) -> Edits:
        removals = self._controls.removals if self._controls else ()
        if self._draft is None:
            return Edits(removals)
        draft = replace(self._draft, queue_id=queue_id or self._draft.queue_id)
        try:
            result = self._instrument_and_record(draft)
        except (DeadlineExceeded, NotRecorded, KeyFault) as failure:
            result = Untouched(str(failure))
            self.world.counters.add("faults")
        except Exception as error:
            log.exception(line(draft.queue_id, "internal error"))
            result = Untouched(f"internal error {error!r}")
            self.world.counters.add("faults")
        if isinstance(result, Untouched):
            self._record_untouched(draft, result.reason)
            return Edits(removals)
        return Edits(removals, result)

    def leave(self, queue_id: str, reason: str) -> None:
        """Write down why the message is left as it came, instead of `end_of_message`."""
        if self._draft is not None:
            draft = replace(self._draft, queue_id=queue_id or self._draft.queue_id)
            self._record_untouched(draft, reason)

    def _end_of_headers(self, queue_id: str) -> Next:
        settings = self.world.config.milter
        received = any(name.lower() == "received" for name, _ in self.fields)
        trusted = trust(self.client, settings)
        if trusted is Trust.NO or (trusted is Trust.IF_NOT_RECEIVED and received):
            log.debug(line(queue_id, "not a submission of ours", client=self.client.ip))
            self.world.counters.add("foreign")
            return Next.ACCEPT
        self._controls = read_controls(
            self.fields, settings.header_prefix, vendors=settings.vendor_headers
        )
        for complaint in self._controls.complaints:
            log.warning(line(queue_id, complaint))
        name = envelope.sending_domain(self.fields, self.sender)
        self._domain = domain = self.world.domains.lookup(name) if name else None
        decision = decide(self._controls.toggles, domain)
        if domain is None:
            log.debug(line(queue_id, "not of an added domain", domain=name))
            return self._without_body()
        self._draft = self._draft_row(queue_id, domain, decision)
        refusal = decision.why_off
        if decision.tracks:
            request = Request(
                opens=decision.opens.on,
                clicks=decision.clicks.on,
                signed_ok=settings.instrument_signed,
            )
            refusal = refused_by_header(self.fields, request, Limits())
        if not refusal:
            return Next.READ_BODY
        self._record_untouched(self._draft, refusal)
        self._draft = None
        return self._without_body()

    def _without_body(self) -> Next:
        removals = self._controls.removals if self._controls else ()
        return Next.SKIP_BODY if removals else Next.ACCEPT

    def _untouched_by_fault(self, queue_id: str, reason: str) -> Next:
        """Let the message go; where its domain is known, the row says why (DESIGN 3.9)."""
        row, self._draft = self._draft or self._maybe_bare_row(queue_id), None
        self.world.counters.add("faults")
        if row is None:
            log.error(line(queue_id, "untouched", reason=reason))
        else:
            self._record_untouched(row, reason)
        return self._without_body()

    def _maybe_bare_row(self, queue_id: str) -> Message | None:
        """Return a row without what a fault may have come from, None where there can be none."""
        if self._domain is None:
            return None
        try:
            world = self.world
            return bare_message(
                self._transaction(queue_id), self._domain, world.now(), world.randomness
            )
        except Exception:  # noqa: BLE001 - the fault that led here is in the log already
            return None

    def _transaction(self, queue_id: str) -> Transaction:
        return Transaction(
            self.client, queue_id, self.sender, self.recipients, self.envelope_id, self.fields
        )

    def _draft_row(self, queue_id: str, domain: SendingDomain, decision: Decision) -> Message:
        assert self._controls is not None
        return draft_message(
            self._transaction(queue_id),
            domain,
            decision,
            self._controls,
            self.world.config.milter,
            self._maybe_ring(),
            self.world.now(),
            self.world.randomness,
        )

    def _link_scheme(self) -> str:
        default = self.world.config.links.scheme
        return self._domain.link_scheme(default) if self._domain else default

    def _maybe_ring(self) -> KeyRing | None:
        try:
            return self.world.keys.sealing_ring()
        except KeyFault:
            return None

    def _instrument_and_record(self, draft: Message) -> Iterator[bytes] | Untouched:
        """Return the body to send to Postfix, once its row is on disk.

        Raises DeadlineExceeded, NotRecorded, KeyFault.
        """
        seconds = self.world.config.milter.deadline_seconds
        deadline = self.world.monotonic() + seconds

        def checkpoint() -> None:
            if self.world.monotonic() > deadline:
                raise DeadlineExceeded(f"not done within {seconds:g} s")

        minter = TokenMinter(
            self.world.keys.sealing_ring(),
            self.world.config.links,
            draft.tracking_domain,
            draft.email_id,
            draft.copy,
            self.world.keys.reread,
            with_image=draft.opens,
            scheme=self._link_scheme(),
        )
        planned = self._plan(draft, minter, checkpoint)
        if isinstance(planned, Untouched):
            return planned
        maybe_message = self.world.rows.maybe_message
        if comes_again(draft.message_id, planned.own_urls, minter, maybe_message, checkpoint):
            return Untouched(Reason.COMES_AGAIN)
        row = _completed(draft, planned)
        body = self._body.edited(planned.edits)
        self.world.recorder.record(row).wait(deadline - self.world.monotonic())
        self.world.counters.add("instrumented")
        self.world.counters.add("links", sum(link.tracked for link in row.links))
        if planned.left_parts:
            self.world.counters.add("parts_left", len(planned.left_parts))
        _log_instrumented(row, planned)
        return body

    def _plan(
        self, draft: Message, minter: TokenMinter, checkpoint: Callable[[], None]
    ) -> Plan | Untouched:
        settings = self.world.config.milter
        room = envelope.body_room_bytes(settings.max_message_bytes, self.fields, self.recipients)
        if self._size_bytes > room:
            return Untouched(Reason.MESSAGE_TOO_LARGE)
        request = Request(
            opens=draft.opens,
            clicks=draft.clicks,
            unsubscribe_urls=envelope.unsubscribe_urls(self.fields),
            conditional_comments=settings.conditional_comments,
            signed_ok=settings.instrument_signed,
        )
        limits = Limits(max_message_bytes=room)
        return plan(self.fields, self._body.content(), request, minter, limits, checkpoint)

    def _record_untouched(self, draft: Message, reason: str) -> None:
        """Log and record why a message is untouched, without making the mail wait."""
        self.world.counters.add("untouched")
        log.info(line(draft.queue_id, "untouched", reason=reason, domain=draft.sending_domain))
        try:
            self.world.recorder.leave(replace(draft, reason=reason))
        except NotRecorded as fault:
            log.warning(line(draft.queue_id, "row not recorded", reason=fault))
        except Exception:  # asked where a fault is being dealt with: there is nobody to catch it
            log.exception(line(draft.queue_id, "internal error"))


def _completed(draft: Message, result: Plan) -> Message:
    return replace(
        draft,
        outcome=Outcome.INSTRUMENTED,
        reason="; ".join(f"part {part} left: {reason}" for part, reason in result.left_parts),
        links=tuple(
            LinkRecord(link.link_index, link.destination, link.tracked, link.reason)
            for link in result.links
        ),
        image_reason=result.image.reason,
    )


def _log_instrumented(row: Message, result: Plan) -> None:
    log.info(
        line(
            row.queue_id,
            "instrumented",
            links=sum(link.tracked for link in row.links),
            left=sum(not link.tracked for link in row.links),
            image=result.image.placed,
            parts_left="; ".join(reason for _, reason in result.left_parts) or None,
            email_id=format_email_id(row.email_id),
            domain=row.sending_domain,
        )
    )
