"""Finding events: each filter, pages, any-of, and that none of it reads the whole table."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from openclick.ids import event_id, parse_email_id
from openclick.messages import Labels
from openclick.store import EventQuery, Registry, Store
from openclick.store.event_search import statements
from openclick.store.events import JudgeCursor
from openclick.tokens import Kind
from unit.old_store import older_registry
from unit.samples import NOW, a_judgement, a_message, log_events

EVERYTHING = EventQuery(start=0, end=2 * NOW, limit=100)
OTHER_ID = parse_email_id("email_0199c0de-0000-7abc-8def-000000000000")
OTHER = a_message(
    email_id=OTHER_ID,
    message_id="<2@laden.example>",
    recipients=("Bert@Reader.example",),
    sending_domain="laden.example",
    labels=Labels(("boots", "winter"), "news.daily", "Dec-2025"),
)
SEVERAL = a_message(recipients=("anna@reader.example", "bert@reader.example"), labels=Labels())


@pytest.fixture
def registry(store: Store) -> Iterator[Registry]:
    """Return its registry; events 1 to 3 are of the usual message, 4 and 5 of another."""
    opened = store.registry(owner=True)
    log_events(opened, range(1, 4))
    judged = [
        a_judgement(4, OTHER, email_id=OTHER_ID, kind=Kind.OPEN, destination=""),
        a_judgement(5, OTHER, email_id=OTHER_ID),
        a_judgement(6, SEVERAL),
    ]
    opened.events.record_judgements(judged, JudgeCursor("file", 6), NOW)
    yield opened
    opened.close()


def found(store: Store, **filters: Any) -> list[int]:
    """Return the numbers of the events that these filters leave, as they come."""
    reader = store.registry_reader()
    try:
        events = reader.event_search.many(replace(EVERYTHING, **filters))
    finally:
        reader.close()
    numbers = {event_id(number.to_bytes(16, "big")): number for number in range(1, 100)}
    return [numbers[event.body.partition(b'"id":"')[2][:36].decode()] for event in events]


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({}, [6, 5, 4, 3, 2, 1]),
        ({"type": "email.opened"}, [4]),
        ({"email_id": OTHER_ID}, [5, 4]),
        ({"message_id": "<2@laden.example>"}, [5, 4]),
        ({"recipient": "bert@reader.example"}, [5, 4]),
        ({"recipient": "anna@reader.example"}, [3, 2, 1]),
        ({"topic": "news.daily"}, [5, 4]),
        ({"campaign": "Dec-2025"}, [5, 4]),
        ({"campaign": "dec-2025"}, []),
        ({"tags": ("winter",)}, [5, 4]),
        ({"tags": ("winter", "autumn", "boots")}, [5, 4, 3, 2, 1]),
        ({"tags": ("none",)}, []),
        ({"domains": ("laden.example",)}, [5, 4]),
        ({"domains": ("laden.example", "kontor.example")}, [6, 5, 4, 3, 2, 1]),
        ({"start": NOW + 3}, [6, 5, 4, 3]),
        ({"end": NOW + 3}, [2, 1]),
        ({"email_id": OTHER_ID, "type": "email.clicked", "topic": "news.daily"}, [5]),
        ({"email_id": OTHER_ID, "tags": ("winter", "autumn")}, [5, 4]),
        ({"email_id": OTHER_ID, "tags": ("autumn",)}, []),
        ({"tags": ("boots",), "domains": ("kontor.example",)}, [3, 2, 1]),
    ],
    ids=str,
)
def test_filters(
    registry: Registry, store: Store, filters: dict[str, Any], numbers: list[int]
) -> None:
    """Each leaves what it says, newest first; several leave what each of them leaves."""
    assert numbers == found(store, **filters)


@pytest.mark.parametrize("filters", [{}, {"tags": ("autumn", "boots")}], ids=str)
def test_pages(registry: Registry, store: Store, filters: dict[str, Any]) -> None:
    """Page after page, each event is on exactly one, though two have the same instant."""
    twin = a_judgement(7, received_at=NOW + 5)
    registry.events.record_judgements([twin], JudgeCursor("file", 7), NOW)
    pages, query = [], replace(EVERYTHING, limit=2, **filters)
    reader = store.registry_reader()

    while page := reader.event_search.many(query):
        pages.append(page)
        query = replace(query, after=page[-1].place)
    reader.close()

    places = [event.place for page in pages for event in page]
    assert places == sorted(set(places), reverse=True)
    assert len(places) == (6 if filters else 7)


def test_tags_go_with_their_event(registry: Registry, store: Store) -> None:
    """What retention removes is found no more, and leaves nothing behind."""
    removed = registry.retention.sweep_events(2 * NOW, 100)

    with closing(sqlite3.connect(store.directory / "openclick.db")) as connection:
        left = connection.execute("SELECT count(*) FROM event_tags").fetchone()
    assert removed == 6
    assert left == (0,)


def test_events_of_an_older_openclick(store: Store) -> None:
    """They are found by what their bodies say."""
    judged = a_judgement(5, OTHER, email_id=OTHER_ID)
    assert judged.event is not None
    with older_registry(store.directory, 3) as connection:
        connection.execute(
            "INSERT INTO events (event_id, type, occurred_at, email_id, sending_domain, body) "
            "VALUES (?, 'email.clicked', ?, ?, 'laden.example', ?)",
            (judged.event.event_id, NOW + 5, OTHER_ID, judged.event.body),
        )
    store.registry(owner=True).close()

    by_filter = {name: found(store, **filters) for name, filters in FILTERS.items()}

    assert by_filter == {name: [] if name == "type" else [5] for name in FILTERS}


FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "type": {"type": "email.opened"},
    "email_id": {"email_id": OTHER_ID},
    "message_id": {"message_id": "<2@laden.example>"},
    "recipient": {"recipient": "bert@reader.example"},
    "topic": {"topic": "news.daily"},
    "campaign": {"campaign": "Dec-2025"},
    "tags": {"tags": ("winter", "boots")},
    "domain": {"domains": ("laden.example", "kontor.example")},
}


@pytest.mark.parametrize("after", [None, (NOW + 4, 4)], ids=["first page", "next page"])
@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_has_an_index_in_order(
    registry: Registry, store: Store, name: str, after: tuple[int, int] | None
) -> None:
    """SQLite reads from the index as many rows as the page has: no scan, nothing to sort."""
    connection = sqlite3.connect(store.directory / "openclick.db")
    query = replace(EVERYTHING, after=after, **FILTERS[name])

    plans = [
        [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
        for sql, values in statements(query)
    ]

    connection.close()
    for plan in plans:
        assert plan[0].startswith("SEARCH "), plan
        assert "occurred_at" in plan[0], plan
        assert not [step for step in plan if "SCAN" in step or "TEMP B-TREE" in step]
