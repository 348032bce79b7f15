"""Deliveries in openclick.db: each event in exactly one delivery of each webhook it is for."""

import itertools
import json
from collections.abc import Callable

import pytest

from openclick.instants import SECOND
from openclick.store import Registry, StoreFault
from openclick.store.forming import UNATTEMPTED_DELIVERIES
from openclick.webhooks import Delivery, DeliveryState, Settlement, WebhookStatus
from unit.delivery_steps import CLAIM_SECONDS, delivered, failed, go_round
from unit.samples import NOW, a_message, a_webhook, log_events

LATER = NOW + 60 * SECOND


def events_of(registry: Registry, delivery: Delivery) -> list[str]:
    """Return the ids of a delivery's events, in order."""
    return [
        json.loads(body)["id"] for body in registry.deliveries.event_bodies(delivery.delivery_id)
    ]


def attempts(registry: Registry) -> list[tuple[object, ...]]:
    """Return every attempt as it stands in its row."""
    with registry._database.reading() as connection:
        rows = connection.execute("SELECT * FROM attempts ORDER BY delivery_id, number").fetchall()
    return [tuple(row) for row in rows]


def ids(numbers: range) -> list[str]:
    """Return the event ids of hits `numbers`."""
    return [f"evt_{number:032x}" for number in numbers]


def deliveries_of(registry: Registry, webhook_id: str, now: int = NOW) -> list[Delivery]:
    """Return the deliveries of one webhook, once whatever is due for anybody is delivered."""
    ends: list[Settlement] = []
    numbers = itertools.count(1000)
    while claims := go_round(registry, now, lambda: f"{next(numbers):032x}", ends).claims:
        ends = [delivered(claim) for claim in claims]
    reports = registry.delivery_desk.many_reports(webhook_id, None, 10_000)
    return [report.delivery for report in reversed(reports)]


def test_no_webhook_no_delivery(registry: Registry, new_batch_id: Callable[[], str]) -> None:
    """Events wait in the log for nobody."""
    log_events(registry, range(1, 4))

    assert registry.deliveries.form(NOW, new_batch_id) == 0


def test_new_events_become_a_delivery(registry: Registry, new_batch_id: Callable[[], str]) -> None:
    """Due at once, with the finished bytes in the log's order."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 4))

    assert registry.deliveries.form(NOW, new_batch_id) == 1

    (claim,) = go_round(registry, NOW, new_batch_id).claims
    assert Delivery(1, "wh_1", f"{1:032x}", DeliveryState.PENDING, 0, NOW, NOW) == claim.delivery
    assert registry.deliveries.event_bodies(1) == claim.bodies
    assert ids(range(1, 4)) == events_of(registry, claim.delivery)


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

    batches = [events_of(registry, delivery) for delivery in deliveries_of(registry, "wh_1")]
    assert [100, 100, 50] == [len(batch) for batch in batches]
    assert ids(range(1, 251)) == list(itertools.chain(*batches))


@pytest.mark.parametrize("count", [100, 999, 1000, 1001, 2100])
def test_long_logs_are_read_in_pieces(
    registry: Registry, new_batch_id: Callable[[], str], count: int
) -> None:
    """Each event is in exactly one delivery, wherever the pieces end."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, count + 1))

    batches = [events_of(registry, delivery) for delivery in deliveries_of(registry, "wh_1")]
    assert -(-count // 100) == len(batches)
    assert ids(range(1, count + 1)) == list(itertools.chain(*batches))


def test_each_webhook_gets_every_event(registry: Registry, new_batch_id: Callable[[], str]) -> None:
    """A delivery belongs to one webhook; batch ids are never shared."""
    for number in (1, 2):
        registry.webhooks.add(a_webhook(webhook_id=f"wh_{number}"))
    log_events(registry, range(1, 4))

    registry.deliveries.form(NOW, new_batch_id)

    (first,), (second,) = deliveries_of(registry, "wh_1"), deliveries_of(registry, "wh_2")
    assert ids(range(1, 4)) == events_of(registry, first) == events_of(registry, second)
    assert first.batch_id != second.batch_id


def test_a_webhook_gets_what_it_asked_for(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """Other events are passed over, and do not come later."""
    registry.webhooks.add(a_webhook(events=("email.opened", "email.bounced")))
    log_events(registry, range(1, 4))  # clicks

    assert registry.deliveries.form(NOW, new_batch_id) == 0
    assert () == go_round(registry, NOW, new_batch_id).claims


def test_a_webhook_may_be_limited_to_domains(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """Events of other sending domains never leave for it."""
    registry.webhooks.add(a_webhook(domains=("a.example", "b.example")))
    for start, name in ((1, "a.example"), (11, "c.example"), (21, "b.example")):
        log_events(registry, range(start, start + 3), a_message(sending_domain=name))

    registry.deliveries.form(NOW, new_batch_id)

    (delivery,) = deliveries_of(registry, "wh_1")
    assert ids(range(1, 4)) + ids(range(21, 24)) == events_of(registry, delivery)


def test_a_webhook_added_later_gets_no_past_events(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """It receives the events from now on."""
    log_events(registry, range(1, 4))
    registry.webhooks.add(a_webhook())
    log_events(registry, range(4, 6))

    registry.deliveries.form(NOW, new_batch_id)

    (delivery,) = deliveries_of(registry, "wh_1")
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

    assert dict.fromkeys(DeliveryState, 0) == registry.deliveries.count_by_state()
    assert registry.deliveries.form(NOW, new_batch_id) == 2


def test_what_is_formed_ahead_is_bounded(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """Events of a webhook that cannot take them wait in the log, where they cost nothing."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 100 * UNATTEMPTED_DELIVERIES + 301))

    first = go_round(registry, NOW, new_batch_id, each=0)
    second = go_round(registry, NOW, new_batch_id, each=0)

    assert (False, False) == (first.more, second.more)
    assert UNATTEMPTED_DELIVERIES == registry.deliveries.count_by_state()[DeliveryState.PENDING]
    assert 1 == len(go_round(registry, NOW, new_batch_id, each=1).claims)
    assert registry.deliveries.form(NOW, new_batch_id) == 1


def test_events_for_nobody_do_not_stop_the_reading(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """A long stretch of other events is read on, page by page."""
    registry.webhooks.add(a_webhook(domains=("late.example",)))
    log_events(registry, range(1, 4001))
    log_events(registry, range(4001, 4002), a_message(sending_domain="late.example"))

    rounds = [go_round(registry, NOW, new_batch_id, each=0) for _ in range(3)]

    assert [True, True, False] == [one.more for one in rounds]
    assert ids(range(4001, 4002)) == events_of(registry, deliveries_of(registry, "wh_1")[0])


# --- claims


def test_a_claim_is_nobody_elses(registry: Registry, new_batch_id: Callable[[], str]) -> None:
    """Until it ends; where no end was written by then the same batch is claimed again."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 2))
    (first,) = go_round(registry, NOW, new_batch_id).claims
    ends = NOW + CLAIM_SECONDS * SECOND

    before, after = (go_round(registry, at, new_batch_id).claims for at in (ends - 1, ends))

    assert () == before
    (second,) = after
    assert (1, 2) == (first.number, second.number)
    assert (first.delivery.batch_id, first.bodies) == (second.delivery.batch_id, second.bodies)
    assert (0, 0) == (second.delivery.place, second.delivery.waited_seconds)


def test_an_attempt_under_way_is_not_claimed(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """Whatever a clock that jumps makes of its claim."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 2))
    go_round(registry, NOW, new_batch_id)

    claims = go_round(registry, LATER, new_batch_id, under_way=(1,)).claims

    assert () == claims


def test_an_attempt_is_written_before_it_is_made(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """Its row has a beginning and no end."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 2))

    go_round(registry, NOW, new_batch_id)

    assert [(1, 1, NOW, None, None, "", "", "list", "")] == attempts(registry)


def test_a_failed_attempt_leaves_it_pending(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """Its end is written down, and it waits for the next one."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 2))
    (claim,) = go_round(registry, NOW, new_batch_id).claims

    go_round(registry, NOW, new_batch_id, [failed(claim, LATER)])
    early, late = (go_round(registry, at, new_batch_id).claims for at in (LATER - 1, LATER))

    assert () == early
    assert (1, 5) == (late[0].delivery.place, late[0].delivery.waited_seconds)
    assert [
        (1, 1, NOW, NOW, 500, "answered 500", "oops", "list", "server_error"),
        (1, 2, LATER, None, None, "", "", "list", ""),
    ] == attempts(registry)


def test_the_longest_due_come_first(registry: Registry, new_batch_id: Callable[[], str]) -> None:
    """As many of a webhook as it has slots."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 301))
    claims = go_round(registry, NOW, new_batch_id).claims
    waits = [failed(c, NOW + wait) for c, wait in zip(claims, (30, 10, 20), strict=True)]
    go_round(registry, NOW, new_batch_id, waits)

    claims = go_round(registry, LATER, new_batch_id, each=2).claims

    assert [2, 3] == [claim.delivery.delivery_id for claim in claims]


def test_a_long_queue_hides_nobody_elses(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """One slow endpoint never slows another (DESIGN 7), however much is due for it."""
    registry.webhooks.add(a_webhook(webhook_id="wh_slow"))
    log_events(registry, range(1, 1001))
    registry.deliveries.form(NOW, new_batch_id)
    registry.webhooks.add(a_webhook(webhook_id="wh_quick"))
    log_events(registry, range(1001, 1002))

    claims = go_round(registry, LATER, new_batch_id, each=1).claims

    assert {"wh_slow", "wh_quick"} == {claim.delivery.webhook_id for claim in claims}


@pytest.mark.parametrize("state", [DeliveryState.DELIVERED, DeliveryState.ABANDONED])
def test_an_ended_delivery_is_not_attempted(
    registry: Registry, new_batch_id: Callable[[], str], state: DeliveryState
) -> None:
    """Nor does its state change any more."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 2))
    (claim,) = go_round(registry, NOW, new_batch_id).claims
    go_round(registry, NOW, new_batch_id, [failed(claim, LATER, state=state)])

    claims = go_round(registry, LATER, new_batch_id, [failed(claim, LATER)]).claims

    assert () == claims
    assert 1 == registry.deliveries.count_by_state()[state]


def test_a_claim_given_back_is_due_at_once(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """The sidecar was stopped: the next one need not wait for the claim's end."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 2))
    claims = go_round(registry, NOW, new_batch_id).claims

    registry.deliveries.release(claims, NOW + 1)

    (again,) = go_round(registry, NOW + 1, new_batch_id).claims
    assert 2 == again.number
    assert "cut off" in attempts(registry)[0][5]


def test_a_removed_webhook_ends_nothing(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """The end of an attempt that was under way finds no row, and that is all."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 2))
    (claim,) = go_round(registry, NOW, new_batch_id).claims
    registry.webhooks.remove("wh_1")

    done = go_round(registry, NOW, new_batch_id, [failed(claim, LATER)])

    assert ((), ()) == (done.claims, done.changes)


def test_states_are_counted(registry: Registry, new_batch_id: Callable[[], str]) -> None:
    """Every state, also one that nothing is in."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 301))
    claims = go_round(registry, NOW, new_batch_id).claims
    go_round(registry, NOW, new_batch_id, [delivered(claims[1])])

    assert {
        DeliveryState.PENDING: 2,
        DeliveryState.DELIVERED: 1,
        DeliveryState.ABANDONED: 0,
    } == registry.deliveries.count_by_state()
