"""Fills a store with events, or asks it for pages of a hundred, and prints microseconds a page.

    event_pages.py --store DIRECTORY --fill 1000000
    event_pages.py --store DIRECTORY

Fifty messages share the events, each with a recipient, labels and a sending domain of its own, so
that every filter leaves a fiftieth, spread over all of them.  The pages asked for are the first and
the second, again and again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

from bench.message_rows import message_row
from openclick.events import make_event
from openclick.hits import Hit
from openclick.messages import Labels, Message
from openclick.store import EventQuery, JudgeCursor, Judgement, RegistryReader, open_store
from openclick.tokens import Kind
from openclick.verdicts import Verdict, Visitor

_BATCH = 10_000
_MESSAGES = 50
_CHOSEN = 7
_PAGE, _PAGES = 100, 20
_PERSON = Verdict(Visitor.PERSON, "no-sign")


def main() -> None:
    """Fill, or ask."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", required=True)
    parser.add_argument("--fill", type=int, default=0)
    options = parser.parse_args()
    store = open_store(f"sqlite:{options.store}")
    if options.fill:
        messages = [_message(number) for number in range(_MESSAGES)]
        with closing(store.registry(owner=True)) as registry:
            for first in range(0, options.fill, _BATCH):
                numbers = range(first, min(first + _BATCH, options.fill))
                judged = [_judged(number, messages[number % _MESSAGES]) for number in numbers]
                registry.events.record_judgements(judged, JudgeCursor("bench", first), 1)
        print(json.dumps({"rows": options.fill}))
        return
    with closing(store.registry_reader()) as reader:
        print(json.dumps({name: _taken(reader, query) for name, query in _queries(reader)}))


def _message(number: int) -> Message:
    return replace(
        message_row(number),
        email_id=number.to_bytes(16, "big"),
        recipients=(f"r{number}@reader.example",),
        sending_domain=f"d{number}.example",
        labels=Labels((f"t{number}", f"u{number}"), f"topic{number}", f"campaign{number}"),
    )


def _judged(number: int, message: Message) -> Judgement:
    hit = Hit(
        hit_id=number.to_bytes(16, "big"),
        received_at=(number + 1) * 1000,
        # Clicks are one message's alone, so that the type leaves a fiftieth too.
        kind=Kind.CLICK if number % _MESSAGES == _CHOSEN else Kind.OPEN,
        email_id=message.email_id,
        copy=message.copy,
        link_index=0,
        destination="https://shop.kontor.example/",
        tracking_domain=message.tracking_domain,
        ip="192.0.2.1",
        user_agent="Mozilla/5.0",
        headers={},
    )
    return Judgement(hit, _PERSON, make_event(hit, message, None))


def _queries(reader: RegistryReader) -> Iterator[tuple[str, EventQuery]]:
    everything = EventQuery(start=0, end=2**62, limit=_PAGE)
    [newest] = reader.event_search.many(replace(everything, limit=1))
    message = _message(_CHOSEN)
    filters: Mapping[str, Mapping[str, Any]] = {
        "none": {},
        "type": {"type": "email.clicked"},
        "email_id": {"email_id": message.email_id},
        "message_id": {"message_id": message.message_id},
        "recipient": {"recipient": message.recipients[0]},
        "topic": {"topic": message.labels.topic},
        "campaign": {"campaign": message.labels.campaign},
        "tags": {"tags": message.labels.tags},
        "domain": {"domains": (message.sending_domain,)},
        "window": {"end": newest.occurred_at // 2},
    }
    for name, chosen in filters.items():
        yield name, replace(everything, **chosen)


def _taken(reader: RegistryReader, query: EventQuery) -> float:
    """Return the median of the microseconds that a page takes."""
    taken = []
    for _ in range(_PAGES):
        began = time.perf_counter()
        found = reader.event_search.many(query)
        taken.append((time.perf_counter() - began) * 1e6)
        assert len(found) == _PAGE, len(found)
        query = replace(query, after=None if query.after else found[-1].place)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
