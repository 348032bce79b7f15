"""Events: the bytes that every webhook gets, field by field."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openclick.events import Bot, EventType, make_event
from openclick.messages import Labels
from unit.samples import (
    DESTINATION,
    DOMAIN,
    EMAIL_ID,
    EMAIL_ID_TEXT,
    NOW,
    a_hit,
    a_message,
    an_open,
)


def payload(event_body: bytes) -> dict[str, Any]:
    """Return an event as its receiver reads it."""
    found: dict[str, Any] = json.loads(event_body)
    return found


def test_click() -> None:
    """The whole of a click's event: Anypost's shape {id, type, occurred_at, data}."""
    event = make_event(a_hit(7, received_at=NOW), a_message(), None)

    assert {
        "id": "evt_" + "0" * 31 + "7",
        "type": "email.clicked",
        "occurred_at": "2025-11-23T22:40:00.123Z",
        "data": {
            "email_id": EMAIL_ID_TEXT,
            "message_id": "<1@kontor.example>",
            "from": "bounces@kontor.example",
            "recipient": "anna@reader.example",
            "recipients": ["anna@reader.example"],
            "subject": "Jackets – and boots",
            "tags": ["autumn", "boots"],
            "topic": "news.weekly",
            "campaign": "nov-2025",
            "headers": {"x_order": "17"},
            "tracking": {
                "ip": "192.0.2.7",
                "user_agent": a_hit().user_agent,
                "url": DESTINATION,
            },
        },
    } == payload(event.body)


def test_place_in_the_log() -> None:
    """What queries ask for stands beside the finished bytes."""
    event = make_event(a_hit(7, received_at=NOW), a_message(), None)

    assert ("evt_" + "0" * 31 + "7", EventType.CLICKED) == (event.event_id, event.type)
    assert (NOW, EMAIL_ID, DOMAIN) == (event.occurred_at, event.email_id, event.sending_domain)


def test_open_through_an_image_proxy() -> None:
    """It has no url, and names the proxy's owner."""
    event = make_event(an_open(), a_message(), Bot("google"))

    assert EventType.OPENED is event.type
    assert {
        "ip": "192.0.2.7",
        "user_agent": a_hit().user_agent,
        "bot": {"source": "google", "kind": "proxy"},
    } == payload(event.body)["data"]["tracking"]


def test_several_recipients_are_candidates() -> None:
    """One body served them all, so nobody can say which of them it was."""
    message = a_message(recipients=("a@reader.example", "b@reader.example"))

    data = payload(make_event(a_hit(), message, None).body)["data"]

    assert data["recipient"] is None
    assert ["a@reader.example", "b@reader.example"] == data["recipients"]


def test_message_without_labels() -> None:
    """Absent labels are null or empty, never left out."""
    message = a_message(labels=Labels(), headers={}, subject=None, message_id=None)

    data = payload(make_event(a_hit(), message, None).body)["data"]

    assert ([], None, None, {}, None, None) == tuple(
        data[name] for name in ("tags", "topic", "campaign", "headers", "subject", "message_id")
    )


def test_message_row_is_gone() -> None:
    """After retention the event carries what the token holds, in the same shape."""
    event = make_event(a_hit(), None, None)
    full = payload(make_event(a_hit(), a_message(), None).body)["data"]
    data = payload(event.body)["data"]

    assert event.sending_domain is None
    assert list(full) == list(data)
    assert (EMAIL_ID_TEXT, full["tracking"]) == (data["email_id"], data["tracking"])
    assert [None, None, None, [], None, [], None, None, {}] == list(data.values())[1:-1]


def test_the_sending_domain_of_an_event() -> None:
    """The message's own word; the tracking domain's where its row is gone; the bytes tell none."""
    gone = make_event(a_hit(), None, None, "other.example")
    full = make_event(a_hit(), a_message(), None, "other.example")

    assert ("other.example", DOMAIN) == (gone.sending_domain, full.sending_domain)
    assert make_event(a_hit(), None, None).body == gone.body


def test_same_hit_same_bytes() -> None:
    """A hit judged twice makes no second version of its event."""
    assert make_event(a_hit(), a_message(), None) == make_event(a_hit(), a_message(), None)


def test_text_beyond_ascii_is_utf_8() -> None:
    """No escapes where none are needed; no blanks either."""
    body = make_event(a_hit(), a_message(subject="Grüße 日本"), None).body

    assert '"subject":"Grüße 日本","tags":["autumn","boots"]'.encode() in body


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_makes_valid_json(subject: str, user_agent: str) -> None:
    """Control characters, quotes and lone surrogates included."""
    event = make_event(a_hit(user_agent=user_agent), a_message(subject=subject), None)

    data = payload(event.body)["data"]

    assert (subject, user_agent) == (data["subject"], data["tracking"]["user_agent"])
    assert b"\n" not in event.body
