"""From recorded hits to verdicts and events: at least once judged, counted once."""

import pytest

from openclick.store import FIRST_CURSOR, Registry, Store, StoreFault
from openclick.verdicts import Visitor
from openclick_sidecar.judging import Docket
from unit.judging.judging_desk import events, place, put_hits
from unit.samples import (
    DOMAIN,
    NOW,
    a_domain,
    a_hit,
    a_webhook,
    an_event,
    an_open,
)


def test_no_file_yet(docket: Docket, registry: Registry) -> None:
    """Before the first hit there is nothing to read, and no fault."""
    assert docket.newest(registry) == FIRST_CURSOR


def test_hits_become_verdicts_and_events(store: Store, docket: Docket, registry: Registry) -> None:
    """In order; a dropped one leaves a verdict and no event."""
    put_hits(store, a_hit(1), a_hit(2, user_agent="curl/8"), an_open(3))

    assert docket.newest(registry) == place(store, 3)
    assert docket.judge_up_to(registry, 3) == 3

    assert ["evt_" + f"{n:032x}" for n in (1, 3)] == [e.event_id for e in events(registry)]
    assert an_event(1) == events(registry)[0]
    assert place(store, 3) == registry.events.judge_cursor()


def test_a_proxys_event_names_it(store: Store, docket: Docket, registry: Registry) -> None:
    """bot {source, kind}."""
    put_hits(store, an_open(1, user_agent="YahooMailProxy"))

    docket.judge_up_to(registry, 1)

    assert b'"bot":{"source":"yahoo","kind":"proxy"}' in events(registry)[0].body


def test_not_beyond_what_was_held(store: Store, docket: Docket, registry: Registry) -> None:
    """Younger hits wait for their own time."""
    put_hits(store, a_hit(1), a_hit(2), a_hit(3))

    assert docket.judge_up_to(registry, 2) == 2
    assert docket.judge_up_to(registry, 2) == 0

    assert [an_event(1), an_event(2)] == events(registry)


def test_many_hits_go_in_steps(store: Store, docket: Docket, registry: Registry) -> None:
    """So that a long queue does not hold the registry's thread."""
    put_hits(
        store, *(a_hit(number, user_agent=f"Reader {number} (Linux)") for number in range(1, 2501))
    )

    steps = [docket.judge_up_to(registry, 2500) for _ in range(4)]

    assert [1000, 1000, 500, 0] == steps
    assert len(events(registry)) == 2500


def test_message_row_is_gone(store: Store, docket: Docket, registry: Registry) -> None:
    """A successful read that finds none: the event carries what the token holds."""
    put_hits(store, a_hit(1, copy=b"gone"))

    docket.judge_up_to(registry, 1)

    assert [None] == [event.sending_domain for event in events(registry)]


def test_message_row_is_gone_and_a_webhook_is_limited_to_its_domain(
    store: Store, docket: Docket, registry: Registry
) -> None:
    """The tracking domain tells whose event it is, a removed domain's too."""
    registry.domains.add(a_domain())
    registry.domains.remove(a_domain().domain_id)
    registry.webhooks.add(a_webhook(webhook_id="mine", domains=(DOMAIN,)))
    registry.webhooks.add(a_webhook(webhook_id="other", domains=("other.example",)))
    registry.webhooks.add(a_webhook(webhook_id="all"))
    put_hits(store, a_hit(1, copy=b"gone"))

    docket.judge_up_to(registry, 1)

    registry.deliveries.form(NOW, iter(("a", "b", "c")).__next__)
    pending = {one.webhook_id: one.pending_deliveries for one in registry.deliveries.backlog()}
    assert {"mine": 1, "other": 0, "all": 1} == pending


def test_messages_that_cannot_be_read_make_hits_wait(
    store: Store, docket: Docket, registry: Registry
) -> None:
    """Wait, not guess (DESIGN 6): judged in full when the file is back."""
    path = store.directory / "messages.db"
    put_hits(store, a_hit(1))
    path.rename(path.with_suffix(".away"))
    with pytest.raises(StoreFault, match=r"messages\.db"):
        docket.judge_up_to(registry, 1)
    assert [] == events(registry)
    path.with_suffix(".away").rename(path)

    docket.judge_up_to(registry, 1)

    assert [an_event(1)] == events(registry)


def test_another_file_is_read_from_its_beginning(
    store: Store, docket: Docket, registry: Registry
) -> None:
    """A corrupt file was set aside, a new one begun: its places count anew."""
    put_hits(store, a_hit(1), a_hit(2), a_hit(3))
    docket.judge_up_to(registry, 3)
    docket.close()
    for path in store.directory.glob("hits.db*"):
        path.unlink()
    put_hits(store, a_hit(7))

    assert docket.newest(registry) == place(store, 1, 7)
    docket.judge_up_to(registry, 1)

    assert [an_event(n) for n in (1, 2, 3, 7)] == events(registry)
    assert place(store, 1, 7) == registry.events.judge_cursor()


def test_an_older_copy_is_read_from_its_beginning(
    store: Store, docket: Docket, registry: Registry
) -> None:
    """A back-up of the same file: what is judged is skipped, what came since is judged."""
    put_hits(store, a_hit(1), a_hit(2))
    backup = (store.directory / "hits.db").read_bytes()
    put_hits(store, a_hit(3), a_hit(4))
    docket.judge_up_to(registry, 4)
    docket.close()
    for path in store.directory.glob("hits.db*"):
        path.unlink()
    (store.directory / "hits.db").write_bytes(backup)
    put_hits(store, a_hit(8))

    docket.judge_up_to(registry, docket.newest(registry).position)

    assert [an_event(n) for n in (1, 2, 3, 4, 8)] == events(registry)


def test_lost_cursor_doubles_nothing(store: Store, docket: Docket, registry: Registry) -> None:
    """The cursor is only a shortcut."""
    put_hits(store, a_hit(1), a_hit(2))
    docket.judge_up_to(registry, 2)
    with registry._database.transaction() as connection:
        connection.execute("DELETE FROM cursors")

    docket.judge_up_to(registry, 2)

    assert [an_event(1), an_event(2)] == events(registry)


def test_verdicts_are_counted(store: Store, docket: Docket, registry: Registry) -> None:
    """By visitor and rule, once each, however often a hit is judged."""
    put_hits(store, a_hit(1), a_hit(2, user_agent="curl/8"), an_open(3))
    docket.judge_up_to(registry, 3)
    with registry._database.transaction() as connection:
        connection.execute("DELETE FROM cursors")

    docket.judge_up_to(registry, 3)

    assert {
        (Visitor.PERSON, "no-rule"): 2,
        (Visitor.AUTOMATION, "http-library"): 1,
    } == docket.tally.counts()
