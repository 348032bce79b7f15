"""GET /v1/events: rows, filters, pages, and who sees what."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_twisted

from openclick.events import Bot, make_event
from openclick.ids import event_id, parse_email_id
from openclick.messages import Labels
from openclick.store import Judgement
from openclick.store.events import JudgeCursor
from openclick.verdicts import Verdict, Visitor
from unit.api_world import ApiWorld
from unit.samples import (
    EMAIL_ID_TEXT,
    NOW,
    a_domain,
    a_hit,
    a_judgement,
    a_message,
    an_open,
)

OTHER_ID = "email_0199c0de-0000-7abc-8def-000000000000"
OTHER = a_message(
    email_id=parse_email_id(OTHER_ID),
    message_id="<2@laden.example>",
    recipients=("Bert@Reader.example",),
    sending_domain="laden.example",
    labels=Labels(("winter",), "news.daily", "Dec-2025"),
)
WINDOW = "start=2025-11-01&end=2025-12-01"


def proxied(number: int) -> Judgement:
    """Return an open that came through an image proxy."""
    hit = an_open(number)
    verdict = Verdict(Visitor.PROXY, "google", "GoogleImageProxy", "google")
    return Judgement(hit, verdict, make_event(hit, a_message(), Bot("google")))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ApiWorld]:
    """Return an API over two domains: events 1 and 3 of one, 2 of the other, 4 with no message."""
    opened = ApiWorld(tmp_path)
    gone = a_hit(4)
    judgements = [
        a_judgement(1),
        a_judgement(2, OTHER, email_id=OTHER.email_id),
        proxied(3),
        Judgement(gone, Verdict(Visitor.PERSON, "no-rule"), make_event(gone, None, None)),
    ]
    with closing(opened.store.registry(owner=True)) as registry:
        registry.domains.add(a_domain())
        registry.domains.add(a_domain(domain_id="domain_2", name="laden.example"))
        registry.events.record_judgements(judgements, JudgeCursor("file", 4), NOW)
    yield opened
    opened.close()


def numbers(body: dict[str, Any]) -> list[int]:
    """Return the numbers of the events on a page."""
    known = {event_id(number.to_bytes(16, "big")): number for number in range(1, 10)}
    return [known[row["id"]] for row in body["data"]]


@pytest_twisted.ensureDeferred
async def test_a_row(world: ApiWorld) -> None:
    """Flat, with every field; a person has no tracking."""
    reply = await world.ask("GET", f"/v1/events?{WINDOW}&email_id={OTHER_ID}")

    assert reply.json["data"] == [
        {
            "id": event_id((2).to_bytes(16, "big")),
            "type": "email.clicked",
            "occurred_at": "2025-11-23T22:40:00.123Z",
            "email_id": OTHER_ID,
            "message_id": "<2@laden.example>",
            "from": "bounces@kontor.example",
            "from_domain": "laden.example",
            "recipient": "Bert@Reader.example",
            "subject": "Jackets – and boots",
            "campaign": "Dec-2025",
            "template_id": None,
            "topic": "news.daily",
            "tags": ["winter"],
            "ip_pool": None,
            "smtp_code": None,
            "bounce_type": None,
            "bounce_classification": None,
            "attempt": None,
            "tracking": None,
        }
    ]


@pytest_twisted.ensureDeferred
async def test_a_row_of_a_proxy(world: ApiWorld) -> None:
    """Says which one, with what the webhook tells beside it."""
    reply = await world.ask("GET", f"/v1/events?{WINDOW}&event_type=email.opened")

    [row] = reply.json["data"]
    assert row["tracking"]["bot"] == {"source": "google", "kind": "proxy"}
    assert row["tracking"]["ip"] == "192.0.2.7"


@pytest_twisted.ensureDeferred
async def test_a_row_without_its_message(world: ApiWorld) -> None:
    """Has what the token held; the rest is null."""
    reply = await world.ask("GET", f"/v1/events?{WINDOW}&limit=1")

    [row] = reply.json["data"]
    assert (row["email_id"], row["tags"]) == (EMAIL_ID_TEXT, [])
    assert (row["from"], row["from_domain"], row["recipient"], row["subject"]) == (None,) * 4


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [4, 3, 2, 1]),
        ("event_type=email.clicked", [4, 2, 1]),
        ("type=email.opened", [3]),
        ("event_type=email.bounced", []),
        ("recipient=BERT%40reader.example", [2]),
        (f"email_id={EMAIL_ID_TEXT}", [4, 3, 1]),
        ("email_id=no-such-id", []),
        (f"message_id={quote('<2@laden.example>')}", [2]),
        ("topic=news.daily", [2]),
        ("campaign=Dec-2025", [2]),
        ("domain=LADEN.example", [2]),
        ("tags=winter", [2]),
        ("tags=winter%2Cboots", [3, 2, 1]),
        ("tags=winter%2Cno%20tag", [2]),
        ("tags=no%20tag", []),
        ("template_id=template_1", []),
        ("ip_pool=a", []),
    ],
)
@pytest_twisted.ensureDeferred
async def test_filters(world: ApiWorld, query: str, expected: list[int]) -> None:
    """Each as docs/api.md says; one that can match nothing gives an empty page."""
    reply = await world.ask("GET", f"/v1/events?{WINDOW}&{query}")

    assert reply.status == 200
    assert numbers(reply.json) == expected


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("start=yesterday", "start"),
        ("end=2025-13-01", "end"),
        ("after=rubbish", "after"),
        ("after=WzEsMl0", "after"),
        ("event_type=email.read", "event_type"),
        ("domain=nobody.example", "domain"),
        ("domain=no domain", "domain"),
        ("tags=a%2Cb%2Cc%2Cd%2Ce%2Cf%2Cg%2Ch%2Ci%2Cj%2Ck", "tags"),
        ("recipient=" + "a" * 2001, "recipient"),
        ("x=%ff", "query"),
        ("&".join(["a=b"] * 60), "query"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_bad_queries(world: ApiWorld, query: str, parameter: str) -> None:
    """400, by the parameter's name."""
    reply = await world.ask("GET", f"/v1/events?{query.replace(' ', '%20')}")

    assert reply.error == (400, "validation_error")
    assert list(reply.json["error"]["errors"]) == [parameter]


@pytest_twisted.ensureDeferred
async def test_pages(world: ApiWorld) -> None:
    """Every event once, in order, with filters repeated on each page."""
    pages, after = [], ""
    while True:
        reply = await world.ask("GET", f"/v1/events?{WINDOW}&domain=kontor.example&limit=1{after}")
        pages.append(numbers(reply.json))
        if not reply.json["has_more"]:
            break
        after = f"&after={reply.json['next_cursor']}"

    assert pages == [[3], [1]]
    assert reply.json["next_cursor"] is None


@pytest_twisted.ensureDeferred
async def test_the_default_window(world: ApiWorld) -> None:
    """The 24 hours before `end`; the window of the first page holds for those after it."""
    at = "end=2025-11-24T22:40:00.1234"
    whole = await world.ask("GET", f"/v1/events?{at}56Z")
    first = await world.ask("GET", f"/v1/events?{at}57Z&limit=1")
    second = await world.ask(
        "GET", f"/v1/events?end=2025-11-25&after={first.json['next_cursor']}&limit=3"
    )
    now = await world.ask("GET", "/v1/events")

    assert numbers(whole.json) == [4, 3, 2, 1]
    assert numbers(first.json) == [4]
    assert numbers(second.json) == [3, 2, 1]
    assert now.json == {"data": [], "has_more": False, "next_cursor": None}


@pytest_twisted.ensureDeferred
async def test_a_limited_key(world: ApiWorld) -> None:
    """Sees the events of its domains alone, whatever it asks for."""
    world.add_key("ap_laden", allowed_domains=("laden.example",))

    pages = {
        query: await world.ask("GET", f"/v1/events?{WINDOW}&{query}", secret="ap_laden")
        for query in ("", f"email_id={EMAIL_ID_TEXT}", "tags=boots", "domain=laden.example")
    }
    foreign = await world.ask(
        "GET", f"/v1/events?{WINDOW}&domain=kontor.example", secret="ap_laden"
    )

    assert [numbers(page.json) for page in pages.values()] == [[2], [], [], [2]]
    assert foreign.error == (400, "validation_error")
    assert b"kontor" not in json.dumps(pages[""].json["data"][0]["from_domain"]).encode()
