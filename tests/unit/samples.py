"""Values that unit tests have in common: one domain, one message, one hit, one webhook.

Who calls: tests of this folder. Promises: equal calls give equal values; any field can be given
another value; nothing here touches clock, disk or network.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from openclick.domains import SendingDomain
from openclick.events import Event, make_event
from openclick.hits import Hit
from openclick.instants import SECOND
from openclick.messages import Labels, LinkRecord, Message, Outcome
from openclick.store import Judgement, Registry
from openclick.store.events import JudgeCursor
from openclick.tokens import KEY_BYTES, Kind
from openclick.verdicts import Verdict, Visitor
from openclick.webhooks import Webhook, WebhookStatus

NOW = 1_763_937_600 * SECOND + 123_456
"""2025-11-23T22:40:00.123Z"""
EMAIL_ID = bytes.fromhex("0199c0de00007abc8def0123456789ab")
EMAIL_ID_TEXT = "email_0199c0de-0000-7abc-8def-0123456789ab"
COPY = b"copy"
DOMAIN = "kontor.example"
TRACKING_DOMAIN = "track.kontor.example"
DESTINATION = "https://shop.kontor.example/boots?size=42"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"


def key(number: int) -> bytes:
    """Return the secret of key `number`."""
    return bytes([number]) * (KEY_BYTES // 2) + bytes(range(KEY_BYTES // 2))


def a_domain(**fields: Any) -> SendingDomain:
    """Return a verified sending domain that tracks both."""
    domain = SendingDomain("domain_1", DOMAIN, True, True, "track", NOW, verified_at=NOW)
    return replace(domain, **fields)


def a_message(**fields: Any) -> Message:
    """Return the row of an instrumented message with one recipient and one link."""
    message = Message(
        email_id=EMAIL_ID,
        copy=COPY,
        created_at=NOW,
        outcome=Outcome.INSTRUMENTED,
        reason="",
        queue_id="4Xk2Q1z0",
        message_id="<1@kontor.example>",
        envelope_id="QQ314159",
        sender="bounces@kontor.example",
        header_from="Kontor Nord <news@kontor.example>",
        recipients=("anna@reader.example",),
        subject="Jackets – and boots",
        sending_domain=DOMAIN,
        tracking_domain=TRACKING_DOMAIN,
        opens=True,
        opens_reason="domain default is on",
        clicks=True,
        clicks_reason="header says on",
        labels=Labels(("autumn", "boots"), "news.weekly", "nov-2025"),
        headers={"x_order": "17"},
        links=(LinkRecord(0, DESTINATION, True), LinkRecord(1, "#top", False, "anchor")),
        image_reason="before </body>",
    )
    return replace(message, **fields)


def a_hit(number: int = 1, **fields: Any) -> Hit:
    """Return hit `number`, a click by a browser."""
    hit = Hit(
        hit_id=number.to_bytes(16, "big"),
        received_at=NOW + number,
        kind=Kind.CLICK,
        email_id=EMAIL_ID,
        copy=COPY,
        link_index=0,
        destination=DESTINATION,
        tracking_domain=TRACKING_DOMAIN,
        ip="192.0.2.7",
        user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        headers={"accept": "text/html"},
    )
    return hit._replace(**fields)


def an_open(number: int = 1, **fields: Any) -> Hit:
    """Return hit `number`, an open by the same browser."""
    return a_hit(number, **{"kind": Kind.OPEN, "destination": "", **fields})


def a_judgement(number: int = 1, message: Message | None = None, **fields: Any) -> Judgement:
    """Return hit `number` counted as a person's."""
    hit = a_hit(number, **fields)
    event = make_event(hit, message or a_message(), None)
    return Judgement(hit, Verdict(Visitor.PERSON, "no-rule"), event)


def an_event(number: int = 1, **fields: Any) -> Event:
    """Return the event of hit `number`."""
    event = a_judgement(number, **fields).event
    assert event is not None
    return event


def a_webhook(**fields: Any) -> Webhook:
    """Return an active webhook for both events of every domain."""
    webhook = Webhook(
        webhook_id="wh_1",
        name="shop",
        url="https://hooks.kontor.example/in",
        events=("email.opened", "email.clicked"),
        domains=(),
        secret=SECRET,
        status=WebhookStatus.ACTIVE,
        created_at=NOW,
    )
    return replace(webhook, **fields)


def log_events(registry: Registry, numbers: range, message: Message | None = None) -> None:
    """Write the events of hits `numbers` (not empty) into the log."""
    judgements = [a_judgement(number, message) for number in numbers]
    registry.events.record_judgements(judgements, JudgeCursor("file", numbers[-1]), NOW)
