"""From an email that was read to one that Postfix has, once.

Called by `email` and `batch`.  Promises (DESIGN 9): a request that names an Idempotency-Key has its
ids on disk before the first message is submitted, and its answer before the client gets it; so a
repeat within 24 hours, a crash in between included, gets the first answer, or has submitted what
was not, with the same ids.

Limits: a message whose 250 was lost (a crash, or a connection that broke inside it) is in doubt,
and a repeat submits it again: SMTP knows no other way.  Both copies have the same Message-ID.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from openclick.ids import UUID7_RANDOM_BYTES, format_email_id, new_email_id
from openclick.instants import Instant
from openclick.keys import KeyDirectory, KeyFault
from openclick.logs import line
from openclick.sealed_ids import sealed_header
from openclick.sends import Acceptance, Claim, Claimed, FirstAnswer, SendNote, Withdrawal
from openclick.store import StoreFault
from openclick_sidecar.api.answers import Answer
from openclick_sidecar.api.composer import compose
from openclick_sidecar.api.faults import ApiFault, busy, conflict, invalid_query
from openclick_sidecar.api.ledger import Ledger
from openclick_sidecar.api.outgoing import OutgoingEmail
from openclick_sidecar.api.router import Call
from openclick_sidecar.api.submitter import Parcel, Submitter

log = logging.getLogger(__name__)

IDEMPOTENCY_KEY = "idempotency-key"
_KEY_FORM = re.compile(r"[\x20-\x7e]{1,255}\Z")

Name = tuple[str, str]


@dataclass
class Send:
    """One request that sends: the ids of its entries, and what was accepted before."""

    name: Name | None
    email_ids: tuple[bytes, ...]
    accepted: frozenset[int]
    created_at: Instant
    is_repeat: bool = False
    """Whether the ids are those of an earlier request, which may have sent with them."""
    answer: Answer | None = None
    """The first answer, where the request is a repeat."""


@dataclass
class Sending:
    """What the two send operations share; `most_waiting` bounds the messages under way."""

    ledger: Ledger
    submitter: Submitter
    keys: KeyDirectory
    header_prefix: str
    most_waiting: int
    now: Callable[[], Instant]
    randomness: Callable[[int], bytes]
    _waiting: int = field(default=0, init=False)
    _under_way: set[Name] = field(default_factory=set, init=False)

    async def begin(self, call: Call, count: int) -> Send:
        """Give `count` entries their ids, and note them where a repeat must find them.

        Whoever calls this calls `finish`, `withdraw` or `leave` at the end, unless there is an
        answer already.  Raises ApiFault, StoreFault.
        """
        if self._waiting >= self.most_waiting:
            raise busy(f"{self._waiting} messages wait for Postfix; come again.")
        at = self.now()
        ids = tuple(new_email_id(at, self.randomness(UUID7_RANDOM_BYTES)) for _ in range(count))
        key = call.headers.get(IDEMPOTENCY_KEY)
        if key is None:
            return Send(None, ids, frozenset(), at)
        if not _KEY_FORM.match(key):
            raise invalid_query({"Idempotency-Key": ["need 1 to 255 printable ASCII characters"]})
        claim = Claim(call.key.key_id, key, _digest(call), ids, at)
        if claim.name in self._under_way:
            raise conflict(
                "The first request with this Idempotency-Key is still under way.",
                "idempotency_concurrent",
            )
        self._under_way.add(claim.name)
        try:
            return self._claimed(claim, await self.ledger.write(claim))
        except BaseException:
            self._under_way.discard(claim.name)
            raise

    def _claimed(self, claim: Claim, claimed: Claimed | None) -> Send:
        assert claimed is not None
        name = claim.name
        if claimed.mismatch:
            raise ApiFault(
                *(422, "idempotency_mismatch"),
                "This Idempotency-Key was used for another request.",
            )
        is_repeat = claimed.email_ids != claim.email_ids
        send = Send(name, claimed.email_ids, claimed.accepted, claimed.claimed_at, is_repeat)
        if claimed.answer is not None:
            send.answer = Answer(claimed.answer.status_code, claimed.answer.body)
            self._under_way.discard(name)
        return send

    async def deliver(self, call: Call, send: Send, entry: int, email: OutgoingEmail) -> None:
        """Submit one entry, unless it was before.  Raises Refused, Unavailable."""
        if entry in send.accepted:
            return
        email_id = send.email_ids[entry]
        self._waiting += 1
        try:
            queue_id = await self.submitter.run(lambda: self._submit(email, email_id, send))
        finally:
            self._waiting -= 1
        log.info(
            line(
                queue_id or call.request_id,
                "submitted",
                email_id=format_email_id(email_id),
                key=call.key.key_id,
                request=call.request_id,
            )
        )
        if send.name is not None and len(send.email_ids) > 1:
            await self._note(Acceptance(send.name, entry, self.now()))

    def _submit(self, email: OutgoingEmail, email_id: bytes, send: Send) -> str:
        content = compose(
            email,
            email_id,
            self._sealed(email_id),
            send.created_at,
            self.header_prefix,
            self.randomness,
        )
        return self.submitter.submit(
            Parcel(email.sender.address, email.recipients, content, email.is_international)
        )

    def _sealed(self, email_id: bytes) -> str | None:
        """Return the value of X-OpenClick-Id; without a key nothing is tracked, but mail goes."""
        try:
            return sealed_header(email_id, self.keys.sealing_ring())
        except KeyFault as fault:
            log.error(line("api", f"{fault}; mail goes out without its id"))
            return None

    async def finish(self, send: Send, answer: Answer) -> Answer:
        """Note the first answer, and return it."""
        if send.name is not None:
            await self._note(FirstAnswer(send.name, answer.status, answer.body))
            self._under_way.discard(send.name)
        return answer

    async def withdraw(self, send: Send) -> None:
        """Forget a request that has come to nothing.

        One that goes on with an earlier one is left: what that one sent may have arrived, and every
        repeat must have its ids.
        """
        if send.is_repeat:
            self.leave(send)
        elif send.name is not None:
            await self._note(Withdrawal(send.name))
            self._under_way.discard(send.name)

    async def _note(self, note: SendNote) -> None:
        """Write down what has happened already, which a store at fault cannot undo."""
        try:
            await self.ledger.write(note)
        except StoreFault as fault:
            log.error(line("api", "not noted: a repeat would send again", reason=fault))

    def leave(self, send: Send) -> None:
        """Leave a request in doubt: a repeat goes on with it."""
        if send.name is not None:
            self._under_way.discard(send.name)


def recipient_field(email: OutgoingEmail, recipient: str) -> str:
    """Return where a recipient stands in the request, such as "cc.1"."""
    lists: dict[str, Sequence[Any]] = {"to": email.to, "cc": email.cc, "bcc": email.bcc}
    return next(
        f"{name}.{number}"
        for name, mailboxes in lists.items()
        for number, mailbox in enumerate(mailboxes)
        if mailbox.address == recipient
    )


def _digest(call: Call) -> bytes:
    return hashlib.sha256(call.path.encode() + b"\0" + call.body).digest()
