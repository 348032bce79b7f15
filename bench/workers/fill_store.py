"""Fills a store with hits that were judged long ago, and prints how many there are.

    fill_store.py --store DIRECTORY --rows 1000000

Through the store's own door: hits as the recorder writes them, in large commits; a verdict for
each; an event for every second one; and the judge's cursor behind the last, so that nothing waits
to be judged.  The sidecar does not run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator

from bench.message_rows import TRACKING_DOMAIN, message_row, page
from openclick.events import make_event
from openclick.hits import Hit
from openclick.ids import HIT_RANDOM_BYTES, new_hit_id
from openclick.instants import now
from openclick.messages import Message
from openclick.store import Judgement, open_store
from openclick.tokens import Kind
from openclick.verdicts import Verdict, Visitor

_BATCH = 10_000
_HITS_A_MESSAGE = 10
_BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)
_FIELDS = {
    "accept": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    "accept-language": "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7",
}
_PERSON = Verdict(Visitor.PERSON, "no-sign")
_MACHINE = Verdict(Visitor.AUTOMATION, "library", "python-requests")


def main() -> None:
    """Write hits and judgements, batch by batch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", required=True)
    parser.add_argument("--rows", type=int, required=True)
    options = parser.parse_args()
    store = open_store(f"sqlite:{options.store}")
    log, registry = store.hit_log(), store.registry(owner=True)
    reader = store.hit_reader()
    for first in range(0, options.rows, _BATCH):
        numbers = range(first, min(first + _BATCH, options.rows), _HITS_A_MESSAGE)
        judged = [judgement for number in numbers for judgement in _judged(number)]
        log.append([judgement.hit for judgement in judged])
        cursor = reader.newest()
        registry.events.record_judgements(judged, cursor, now())
    print(json.dumps({"rows": reader.last_position()}))
    for file in (reader, log, registry):
        file.close()


def _judged(number: int) -> Iterator[Judgement]:
    """Yield the hits of one message with their verdicts, every second one with its event."""
    message = message_row(number)
    for turn in range(_HITS_A_MESSAGE):
        hit = _hit(message, number, Kind.CLICK if turn % 4 == 0 else Kind.OPEN)
        if turn % 2:
            yield Judgement(hit, _PERSON, make_event(hit, message, None))
        else:
            yield Judgement(hit, _MACHINE, None)


def _hit(message: Message, number: int, kind: Kind) -> Hit:
    is_click, received_at = kind is Kind.CLICK, now()
    return Hit(
        hit_id=new_hit_id(received_at, os.urandom(HIT_RANDOM_BYTES)),
        received_at=received_at,
        kind=kind,
        email_id=message.email_id,
        copy=message.copy,
        link_index=1 if is_click else 0,
        destination=page(number) if is_click else "",
        tracking_domain=TRACKING_DOMAIN,
        ip=f"192.0.2.{number % 254 + 1}",
        user_agent=_BROWSER,
        headers=_FIELDS,
    )


if __name__ == "__main__":
    main()
