"""A mail that is tracked: its edits, its row, its counts."""

import logging
import re
import sys
from contextlib import closing

import pytest

from openclick.messages import Labels, LinkRecord, Message, Outcome
from openclick.tokens import Kind
from openclick_milter.controls import Removal
from openclick_milter.submission import Next
from unit.samples import DESTINATION, DOMAIN, NOW, TRACKING_DOMAIN
from unit.submission.transactions import (
    CONTROL,
    FIELDS,
    HTML,
    LOCAL,
    QUEUE_ID,
    Milter,
    lines,
)


def test_no_name_server_is_asked(milter: Milter) -> None:
    """Nor anything else in the network, tracked or not: no socket is made, no name looked up.

    An audit hook sees what any library does; it cannot be removed, so it is switched off.
    """
    seen: list[str] = []
    watching = [True]
    sys.addaudithook(
        lambda event, _: seen.append(event) if watching[0] and "socket." in event else None
    )
    milter.add_domain(domain_id="2", name="new.example", verified=False)
    senders = (DOMAIN, "new.example", "never.example")
    from_at = [name.lower() for name, _ in FIELDS].index("from")

    decided = []
    for domain in senders:
        fields = list(FIELDS)
        fields[from_at] = (fields[from_at][0], f"news@{domain}")
        decided.append(milter.send(fields)[0])
    rows = milter.rows()
    watching[0] = False

    assert [Next.READ_BODY, Next.ACCEPT, Next.ACCEPT] == decided
    assert {DOMAIN, "new.example"} == {row.sending_domain for row in rows}
    assert seen == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_scheme_of_links(milter: Milter, scheme: str) -> None:
    """That by which the tracking domain was last seen to be served."""
    with closing(milter.store.registry()) as registry:
        registry.domains.record_verified(DOMAIN, NOW, https=scheme == "https")

    _, edits = milter.send()

    assert edits.body is not None
    begin = f"{scheme}://track.kontor.example/".encode("ascii")
    assert [True, True] == [
        f'{attribute}="'.encode("ascii") + begin in edits.body for attribute in ("href", "src")
    ]


def test_tracked_mail(milter: Milter, caplog: pytest.LogCaptureFixture) -> None:
    """Link and image carry tokens that open; nothing else has changed; one line tells it."""
    caplog.set_level(logging.INFO)
    decided, edits = milter.send()

    assert Next.READ_BODY is decided
    assert edits.body is not None
    ring = milter.world.keys.ring()
    link = re.search(rb'href="https://track\.kontor\.example/c/([^"]+)"', edits.body)
    image = re.search(rb'<img[^>]*src="https://track\.kontor\.example/o/([^"]+)"[^>]*>', edits.body)
    assert link is not None
    assert image is not None
    opened = ring.open(Kind.CLICK, TRACKING_DOMAIN, link[1].decode())
    assert DESTINATION == opened.destination
    assert opened.email_id == ring.open(Kind.OPEN, TRACKING_DOMAIN, image[1].decode()).email_id
    restored = edits.body.replace(image[0], b"").replace(
        link[0], b'href="' + DESTINATION.encode() + b'"'
    )
    assert restored == HTML
    (told,) = lines(caplog)
    assert re.fullmatch(
        rf"{QUEUE_ID}: instrumented links=1 left=0 image=yes email_id=email_\S+ domain={DOMAIN}",
        told,
    )


def test_row_of_a_tracked_mail(milter: Milter) -> None:
    """Everything that events and `openclick explain` are made from."""
    milter.send([*FIELDS, ("X-Anypost-Tags", "a,b"), ("X-Anypost-Topic", "t")])

    (row,) = milter.rows()
    assert (
        Message(
            email_id=row.email_id,
            copy=row.copy,
            created_at=NOW,
            outcome=Outcome.INSTRUMENTED,
            reason="",
            queue_id=QUEUE_ID,
            message_id="<1@kontor.example>",
            envelope_id="QQ314159",
            sender="bounces@kontor.example",
            header_from="Kontor Nord <news@kontor.example>",
            recipients=("anna@reader.example",),
            subject="Grüße",
            sending_domain=DOMAIN,
            tracking_domain=TRACKING_DOMAIN,
            opens=True,
            opens_reason="domain default is on",
            clicks=True,
            clicks_reason="domain default is on",
            labels=Labels(("a", "b"), "t", None),
            headers={"x_order": "17"},
            links=(LinkRecord(0, DESTINATION, True, ""),),
            image_reason="before </body>",
            login="shop",
        )
        == row
    )


def test_edits_come_only_when_the_row_is_on_disk(milter: Milter) -> None:
    """Recorded before the first edit (DESIGN 3.9)."""
    submission = milter.submission(FIELDS)
    submission.end_of_headers(QUEUE_ID)
    submission.add_chunk(HTML)

    edits = submission.end_of_message(QUEUE_ID)

    assert edits.body is not None
    with closing(milter.store.message_reader()) as reader:
        assert [Outcome.INSTRUMENTED] == [r.outcome for r in reader.many_by_queue_id(QUEUE_ID)]


def test_control_headers_go(milter: Milter) -> None:
    """From a tracked mail too, and what they ask for is done: no image here."""
    _, edits = milter.send([*FIELDS, CONTROL])

    assert (Removal(CONTROL[0], 1),) == edits.removals
    assert edits.body is not None
    assert b"/c/" in edits.body
    assert b"/o/" not in edits.body


def test_each_copy_has_names_of_its_own(milter: Milter) -> None:
    """Two messages share neither email id nor copy."""
    milter.send()
    milter.send()

    first, second = milter.rows()
    assert first.email_id != second.email_id
    assert first.copy != second.copy


def test_queue_id_that_comes_late(milter: Milter) -> None:
    """Postfix may name it only at the end of the message."""
    submission = milter.submission(FIELDS)
    submission.end_of_headers("")
    submission.add_chunk(HTML)
    submission.end_of_message(QUEUE_ID)

    assert 1 == len(milter.rows())


def test_counters(milter: Milter) -> None:
    """What the heartbeat tells."""
    milter.send()
    milter.send([*FIELDS, ("X-Anypost-Track-Opens", "no"), ("X-Anypost-Track-Clicks", "no")])
    milter.send([("Received", "x"), *FIELDS], client=LOCAL)

    assert {
        "instrumented": 1,
        "links": 1,
        "untouched": 1,
        "foreign": 1,
        "work.le_0.001": 1,
        "work.sum_us": 0,
    } == milter.counters.snapshot()
