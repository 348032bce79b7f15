"""Deliveries in openclick.db: each event in exactly one delivery of each webhook it is for."""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from openclick.instants import SECOND
from openclick.store import Registry, StoreFault, open_store
from openclick.webhooks import Attempt, Delivery, DeliveryState, WebhookStatus
from unit.samples import NOW, a_message, a_webhook, log_events

LATER = NOW + 60 * SECOND
ANSWERED = Attempt(NOW, NOW + 1, True, 204, "", "")
REFUSED = Attempt(NOW, NOW + 1, False, 500, "answered 500", "oops")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """Return an empty registry."""
    with closing(open_store(f"sqlite:{tmp_path}").registry()) as opened:
        yield opened


@pytest.fixture
def new_batch_id() -> Callable[[], str]:
    """Return a source of batch ids: 32 hex digits that count."""
    numbers = itertools.count(1)
    return lambda: f"{next(numbers):032x}"


def events_of(registry: Registry, delivery: Delivery) -> list[str]:
    """Return the ids of a delivery's events, in order."""
    return [
        json.loads(body)["id"] for body in registry.deliveries.event_bodies(delivery.delivery_id)
    ]


def ids(numbers: range) -> list[str]:
    """Return the event ids of hits `numbers`."""
    return [f"evt_{number:032x}" for number in numbers]


def pending_of(registry: Registry, webhook_id: str, now: int = NOW) -> list[Delivery]:
    """Return the due deliveries of one webhook, by taking each away once seen."""
    found = []
    while due := [d for d in registry.deliveries.many_due(now) if d.webhook_id == webhook_id]:
        found += due
        for delivery in due:
            registry.deliveries.finish_attempt(
                delivery.delivery_id, 1, ANSWERED, DeliveryState.DELIVERED
            )
    return found


def test_no_webhook_no_delivery(registry: Registry, new_batch_id: Callable[[], str]) -> None:
    """Events wait in the log for nobody."""
    log_events(registry, range(1, 4))

    assert registry.deliveries.form(NOW, new_batch_id) == 0


def test_new_events_become_a_delivery(registry: Registry, new_batch_id: Callable[[], str]) -> None:
    """Due at once, with the finished bytes in the log's order."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 4))

    assert registry.deliveries.form(NOW, new_batch_id) == 1

    (delivery,) = registry.deliveries.many_due(NOW)
    assert Delivery(1, "wh_1", f"{1:032x}", DeliveryState.PENDING, 0, NOW, NOW) == delivery
    assert ids(range(1, 4)) == events_of(registry, delivery)


def test_forming_again_forms_nothing(registry: Registry, new_batch_id: Callable[[], str]) -> None:
    """The cursor moved in the same transaction."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 4))
    registry.deliveries.form(NOW, new_batch_id)

    assert registry.deliveries.form(NOW, new_batch_id) == 0


def test_batches_of_a_hundred(registry: Registry, new_batch_id: Callable[[], str]) -> None:
    """The rest makes a smaller one; no event is left out, none comes twice."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 251))

    assert registry.deliveries.form(NOW, new_batch_id) == 3

    batches = [events_of(registry, delivery) for delivery in pending_of(registry, "wh_1")]
    assert [100, 100, 50] == [len(batch) for batch in batches]
    assert ids(range(1, 251)) == list(itertools.chain(*batches))


@pytest.mark.parametrize("count", [100, 999, 1000, 1001, 2100])
def test_long_logs_are_read_in_pieces(
    registry: Registry, new_batch_id: Callable[[], str], count: int
) -> None:
    """Each event is in exactly one delivery, wherever the pieces end."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, count + 1))

    registry.deliveries.form(NOW, new_batch_id)

    batches = [events_of(registry, delivery) for delivery in pending_of(registry, "wh_1")]
    assert -(-count // 100) == len(batches)
    assert ids(range(1, count + 1)) == list(itertools.chain(*batches))


def test_each_webhook_gets_every_event(registry: Registry, new_batch_id: Callable[[], str]) -> None:
    """A delivery belongs to one webhook; batch ids are never shared."""
    for number in (1, 2):
        registry.webhooks.add(a_webhook(webhook_id=f"wh_{number}"))
    log_events(registry, range(1, 4))

    registry.deliveries.form(NOW, new_batch_id)

    (first,), (second,) = pending_of(registry, "wh_1"), pending_of(registry, "wh_2")
    assert ids(range(1, 4)) == events_of(registry, first) == events_of(registry, second)
    assert first.batch_id != second.batch_id


def test_a_webhook_gets_what_it_asked_for(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """Other events are passed over, and do not come later."""
    registry.webhooks.add(a_webhook(events=("email.opened", "email.bounced")))
    log_events(registry, range(1, 4))  # clicks

    assert registry.deliveries.form(NOW, new_batch_id) == 0
    assert registry.deliveries.form(NOW, new_batch_id) == 0
    assert [] == registry.deliveries.many_due(NOW)


def test_a_webhook_may_be_limited_to_domains(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """Events of other sending domains never leave for it."""
    registry.webhooks.add(a_webhook(domains=("a.example", "b.example")))
    for start, name in ((1, "a.example"), (11, "c.example"), (21, "b.example")):
        log_events(registry, range(start, start + 3), a_message(sending_domain=name))

    registry.deliveries.form(NOW, new_batch_id)

    (delivery,) = pending_of(registry, "wh_1")
    assert ids(range(1, 4)) + ids(range(21, 24)) == events_of(registry, delivery)


def test_a_webhook_added_later_gets_no_past_events(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """It receives the events from now on."""
    log_events(registry, range(1, 4))
    registry.webhooks.add(a_webhook())
    log_events(registry, range(4, 6))

    registry.deliveries.form(NOW, new_batch_id)

    (delivery,) = pending_of(registry, "wh_1")
    assert ids(range(4, 6)) == events_of(registry, delivery)


def test_a_disabled_webhook_gets_nothing(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """No delivery is formed for it."""
    registry.webhooks.add(a_webhook(status=WebhookStatus.DISABLED))
    log_events(registry, range(1, 4))

    assert registry.deliveries.form(NOW, new_batch_id) == 0


def test_a_fault_while_forming_takes_everything_back(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """No event is lost: the cursor has not moved, and the next round forms what this one did."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 151))

    with pytest.raises(StoreFault, match="UNIQUE"):
        registry.deliveries.form(NOW, lambda: "always the same")

    assert [] == registry.deliveries.many_due(NOW)
    assert registry.deliveries.form(NOW, new_batch_id) == 2


def test_only_what_is_due_is_listed(registry: Registry, new_batch_id: Callable[[], str]) -> None:
    """A delivery that waits for its next attempt is not there yet."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 2))
    registry.deliveries.form(NOW, new_batch_id)
    registry.deliveries.begin_attempt(1, 1, NOW, LATER)

    assert [] == registry.deliveries.many_due(LATER - 1)
    assert [1] == [delivery.delivery_id for delivery in registry.deliveries.many_due(LATER)]


def test_the_longest_due_of_each_webhook(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """One a webhook, the one whose time came first."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 301))
    registry.deliveries.form(NOW, new_batch_id)
    for delivery_id, wait in ((1, 30), (2, 10), (3, 20)):
        registry.deliveries.begin_attempt(delivery_id, 1, NOW, NOW + wait)

    assert [2] == [delivery.delivery_id for delivery in registry.deliveries.many_due(NOW + 30)]


def test_a_long_queue_hides_nobody_elses(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """One slow endpoint never slows another (DESIGN 7), however much is due for it."""
    registry.webhooks.add(a_webhook(webhook_id="wh_slow"))
    log_events(registry, range(1, 1001))
    registry.deliveries.form(NOW, new_batch_id)
    registry.webhooks.add(a_webhook(webhook_id="wh_quick"))
    log_events(registry, range(1001, 1002))
    registry.deliveries.form(LATER, new_batch_id)

    due = registry.deliveries.many_due(LATER)

    assert {"wh_slow", "wh_quick"} == {delivery.webhook_id for delivery in due}


def test_attempts_are_written_before_and_after(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """A crash in between leaves a delivery that comes again at its next time."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 2))
    registry.deliveries.form(NOW, new_batch_id)

    assert registry.deliveries.begin_attempt(1, 1, NOW, LATER)

    (delivery,) = registry.deliveries.many_due(LATER)
    assert (1, LATER, DeliveryState.PENDING) == (
        delivery.attempts,
        delivery.next_attempt_at,
        delivery.state,
    )


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_stale_attempt_is_refused(
    registry: Registry, new_batch_id: Callable[[], str], number: int
) -> None:
    """Only the next number is made: a round with an old list changes nothing."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 2))
    registry.deliveries.form(NOW, new_batch_id)
    registry.deliveries.begin_attempt(1, 1, NOW, LATER)

    assert not registry.deliveries.begin_attempt(1, number, LATER, LATER + 1)

    (delivery,) = registry.deliveries.many_due(LATER)
    assert (1, LATER) == (delivery.attempts, delivery.next_attempt_at)


@pytest.mark.parametrize("state", [DeliveryState.DELIVERED, DeliveryState.ABANDONED])
def test_an_ended_delivery_is_not_attempted(
    registry: Registry, new_batch_id: Callable[[], str], state: DeliveryState
) -> None:
    """Nor is it listed."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 2))
    registry.deliveries.form(NOW, new_batch_id)
    registry.deliveries.begin_attempt(1, 1, NOW, LATER)
    registry.deliveries.finish_attempt(1, 1, REFUSED, state)

    assert not registry.deliveries.begin_attempt(1, 2, LATER, LATER)
    assert [] == registry.deliveries.many_due(LATER)


def test_a_failed_attempt_leaves_it_pending(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """Its end is written down, and it waits for the next one."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 2))
    registry.deliveries.form(NOW, new_batch_id)
    registry.deliveries.begin_attempt(1, 1, NOW, LATER)

    registry.deliveries.finish_attempt(1, 1, REFUSED, DeliveryState.PENDING)

    assert registry.deliveries.begin_attempt(1, 2, LATER, LATER)
    with registry._database.reading() as connection:
        rows = connection.execute("SELECT * FROM attempts ORDER BY number").fetchall()
    assert [
        (1, 1, NOW, NOW + 1, 500, "answered 500", "oops"),
        (1, 2, LATER, None, None, "", ""),
    ] == [tuple(row) for row in rows]


def test_states_are_counted(registry: Registry, new_batch_id: Callable[[], str]) -> None:
    """Every state, also one that nothing is in."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 301))
    registry.deliveries.form(NOW, new_batch_id)
    registry.deliveries.begin_attempt(2, 1, NOW, LATER)
    registry.deliveries.finish_attempt(2, 1, ANSWERED, DeliveryState.DELIVERED)

    assert {
        DeliveryState.PENDING: 2,
        DeliveryState.DELIVERED: 1,
        DeliveryState.ABANDONED: 0,
    } == registry.deliveries.count_by_state()
