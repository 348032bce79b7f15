"""Drafts the row of a message from what is known at the end of its headers.

Called by `submission`.  Pure but for the randomness and the clock that are handed in.  The draft
says "untouched"; `submission` completes it when it knows better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from openclick.domains import SendingDomain
from openclick.ids import COPY_BYTES, UUID7_RANDOM_BYTES, new_email_id
from openclick.instants import Instant
from openclick.messages import Message, Outcome
from openclick.policy import Decision
from openclick.sealed_ids import ID_HEADER, read_sealed_header
from openclick.settings import MilterSettings
from openclick.tokens import KeyRing
from openclick_milter import envelope
from openclick_milter.controls import Controls, HeaderFields
from openclick_milter.identity import split_email_id
from openclick_milter.received import FirstPass, read_first_pass
from openclick_milter.trust import Client


@dataclass(frozen=True)
class Transaction:
    """What Postfix has said of one transaction up to the end of the headers."""

    client: Client
    queue_id: str
    sender: str
    recipients: Sequence[str]
    envelope_id: str | None
    fields: HeaderFields


def bare_message(
    transaction: Transaction,
    domain: SendingDomain,
    created_at: Instant,
    randomness: Callable[[int], bytes],
) -> Message:
    """Return the row of a message whose header could not be read: what is certain, no more."""
    return Message(
        email_id=new_email_id(created_at, randomness(UUID7_RANDOM_BYTES)),
        copy=randomness(COPY_BYTES),
        created_at=created_at,
        outcome=Outcome.UNTOUCHED,
        reason="",
        queue_id=transaction.queue_id,
        message_id=None,
        envelope_id=transaction.envelope_id,
        sender=transaction.sender,
        header_from=None,
        recipients=tuple(transaction.recipients),
        subject=None,
        sending_domain=domain.name,
        tracking_domain=domain.tracking_domain,
        opens=False,
        opens_reason="not decided",
        clicks=False,
        clicks_reason="not decided",
    )


def draft_message(
    transaction: Transaction,
    domain: SendingDomain,
    decision: Decision,
    controls: Controls,
    settings: MilterSettings,
    ring: KeyRing | None,
    created_at: Instant,
    randomness: Callable[[int], bytes],
) -> Message:
    """Return the row; `ring` is None where there is no key, and then nothing is derived."""
    fields = transaction.fields
    first = _first_pass(transaction, settings)
    message_id = envelope.first_value(fields, "message-id")
    email_id = _given_id(fields, first, message_id, ring, created_at)
    return Message(
        email_id=email_id or new_email_id(created_at, randomness(UUID7_RANDOM_BYTES)),
        copy=randomness(COPY_BYTES),
        created_at=created_at,
        outcome=Outcome.UNTOUCHED,
        reason="",
        queue_id=transaction.queue_id,
        message_id=message_id,
        envelope_id=transaction.envelope_id,
        sender=transaction.sender,
        header_from=envelope.first_value(fields, "from"),
        recipients=tuple(transaction.recipients),
        subject=envelope.decoded_subject(fields),
        sending_domain=domain.name,
        tracking_domain=domain.tracking_domain,
        opens=decision.opens.on,
        opens_reason=decision.opens.reason,
        clicks=decision.clicks.on,
        clicks_reason=decision.clicks.reason,
        labels=controls.labels,
        headers=envelope.app_headers(fields, settings.header_prefix, settings.vendor_headers),
        first_queue_id=first.queue_id if first else None,
        login=first.login if first else transaction.client.login or None,
    )


def _first_pass(transaction: Transaction, settings: MilterSettings) -> FirstPass | None:
    """Return what the split's first pass left, None for mail that came straight in."""
    if transaction.client.daemon_name not in settings.trusted_daemons:
        return None
    value = envelope.first_value(transaction.fields, "received")
    return read_first_pass(value) if value else None


def _given_id(
    fields: HeaderFields,
    first: FirstPass | None,
    message_id: str | None,
    ring: KeyRing | None,
    created_at: Instant,
) -> bytes | None:
    if ring is None:
        return None
    sealed = envelope.first_value(fields, ID_HEADER.lower())
    if sealed and (email_id := read_sealed_header(sealed, ring)):
        return email_id
    return split_email_id(first, message_id, ring, created_at) if first else None
