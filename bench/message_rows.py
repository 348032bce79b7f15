"""Message rows: what the milter writes of a submission, for the links and for the commits.

Who calls: tracker, and the workers.  Pure but for the clock and the randomness of their ids.
"""

from __future__ import annotations

import os

from openclick.ids import COPY_BYTES, UUID7_RANDOM_BYTES, new_email_id
from openclick.instants import now
from openclick.messages import Labels, LinkRecord, Message, Outcome

SENDING_DOMAIN = "kontor.example"
TRACKING_DOMAIN = f"track.{SENDING_DOMAIN}"
"""The Host of every request, in hits.lua too."""


def message_row(number: int, links: int = 1) -> Message:
    """Return the row of a new message with some tracked links and two recipients."""
    made_at = now()
    return Message(
        email_id=new_email_id(made_at, os.urandom(UUID7_RANDOM_BYTES)),
        copy=os.urandom(COPY_BYTES),
        created_at=made_at,
        outcome=Outcome.INSTRUMENTED,
        reason="",
        queue_id=f"4bX{number:05d}zBench",
        message_id=f"<{number}.newsletter@{SENDING_DOMAIN}>",
        envelope_id=None,
        sender=f"news@{SENDING_DOMAIN}",
        header_from=f"Kontor <news@{SENDING_DOMAIN}>",
        recipients=("anna@reader.example", "jan@reader.example"),
        subject="Winter boots, and what to wear with them",
        sending_domain=SENDING_DOMAIN,
        tracking_domain=TRACKING_DOMAIN,
        opens=True,
        opens_reason="domain default",
        clicks=True,
        clicks_reason="domain default",
        labels=Labels(tags=("newsletter", "winter"), campaign="week-48"),
        links=tuple(
            LinkRecord(index, page(number, index), tracked=True) for index in range(1, links + 1)
        ),
    )


def page(number: int, index: int = 1) -> str:
    """Return the destination of a message's link."""
    return (
        f"https://shop.kontor.example/products/{number:05d}-{index}-winter-boots"
        "?utm_source=newsletter&utm_medium=email&utm_campaign=week-48"
    )
