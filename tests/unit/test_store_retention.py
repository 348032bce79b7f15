"""Retention of openclick.db: old rows go in small steps; what is still needed stays."""

import os
from collections.abc import Sequence

import pytest

from openclick.instants import SECOND
from openclick.store import Judgement, Registry
from openclick.store.events import JudgeCursor
from openclick.verdicts import Verdict, Visitor
from openclick.webhooks import Claim, WebhookStatus
from unit.delivery_steps import delivered, go_round
from unit.samples import NOW, a_hit, a_webhook, log_events

DAY = 86_400 * SECOND
LATER = NOW + 1000 * DAY


def count(registry: Registry, table: str) -> int:
    """Return how many rows a table has."""
    with registry._database.reading() as connection:
        number: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return number


def seqs(registry: Registry) -> list[int]:
    """Return the places of the events that are there."""
    return [logged.seq for logged in registry.events.many_after(0, 10_000)]


def deliver(registry: Registry, ended_at: int = NOW) -> None:
    """Form deliveries of what is new, and have all of them delivered at once."""
    claims = go_round(registry, NOW, lambda: os.urandom(16).hex()).claims
    finish(registry, claims, ended_at)


def finish(registry: Registry, claims: Sequence[Claim], ended_at: int) -> None:
    """Write down that attempts have delivered."""
    ends = [delivered(claim, ended_at) for claim in claims]
    go_round(registry, NOW, lambda: os.urandom(16).hex(), ends, each=0)


def set_webhook(registry: Registry, **values: object) -> None:
    """Change columns of every webhook."""
    pairs = ", ".join(f"{name} = ?" for name in values)
    with registry._database.transaction() as connection:
        connection.execute(f"UPDATE webhooks SET {pairs}", tuple(values.values()))


# --- verdicts


def test_old_verdicts_go_in_steps(registry: Registry) -> None:
    """Oldest first, so many at a time; the young ones stay."""
    log_events(registry, range(1, 11))
    dropped = Judgement(a_hit(99, received_at=LATER), Verdict(Visitor.AUTOMATION, "x"), None)
    registry.events.record_judgements([dropped], JudgeCursor("file", 11), NOW)

    removed = [registry.retention.sweep_verdicts(LATER, 4) for _ in range(4)]

    assert [4, 4, 2, 0] == removed
    assert {a_hit(99).hit_id} == registry.events.judged([a_hit(n).hit_id for n in (1, 10, 99)])


# --- events


def test_old_events_go_where_nobody_wants_them(registry: Registry) -> None:
    """No webhook, no delivery: age alone decides."""
    log_events(registry, range(1, 11))

    removed = [registry.retention.sweep_events(NOW + 6, 4) for _ in range(3)]

    assert [4, 1, 0] == removed
    assert [6, 7, 8, 9, 10] == seqs(registry)


def test_events_that_a_webhook_has_not_read_stay(registry: Registry) -> None:
    """However old: it may have been a long time before it could be reached."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 5))
    set_webhook(registry, cursor=2)

    registry.retention.sweep_events(LATER, 100)

    assert [3, 4] == seqs(registry)


def test_the_slowest_webhook_counts(registry: Registry) -> None:
    """One that has read all does not speak for the other."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 5))
    registry.webhooks.add(a_webhook(webhook_id="wh_2"))

    registry.retention.sweep_events(LATER, 100)

    assert [1, 2, 3, 4] == seqs(registry)


def test_a_disabled_webhook_holds_nothing(registry: Registry) -> None:
    """It skips events (DESIGN 7)."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 5))
    set_webhook(registry, status=WebhookStatus.DISABLED.value)

    registry.retention.sweep_events(LATER, 100)

    assert [] == seqs(registry)


def test_events_of_a_pending_delivery_stay(registry: Registry) -> None:
    """Whoever retries must find what to send; so does the list of what was given up."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 4))
    registry.deliveries.form(NOW, iter("abc").__next__)
    log_events(registry, range(4, 6))
    set_webhook(registry, cursor=5)

    registry.retention.sweep_deliveries(LATER, 100)
    registry.retention.sweep_events(LATER, 100)

    assert [1, 2, 3] == seqs(registry)
    assert 3 == count(registry, "delivery_events")


def test_places_go_on_after_all_events_are_gone(registry: Registry) -> None:
    """A webhook's cursor never meets a place again."""
    log_events(registry, range(1, 4))
    registry.retention.sweep_events(LATER, 100)

    log_events(registry, range(4, 5))

    assert [4] == seqs(registry)


# --- deliveries


def test_ended_deliveries_go_with_their_attempts(registry: Registry) -> None:
    """And then their events may go too."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 4))
    deliver(registry, ended_at=NOW + 1)
    log_events(registry, range(4, 6))
    deliver(registry, ended_at=NOW + 5)

    removed = registry.retention.sweep_deliveries(NOW + 5, 100)
    registry.retention.sweep_events(LATER, 100)

    assert 1 == removed
    assert [4, 5] == seqs(registry)
    tables = ("deliveries", "attempts", "delivery_events")
    assert [1, 1, 2] == [count(registry, table) for table in tables]


def test_deliveries_go_in_steps(registry: Registry) -> None:
    """Those that ended first go first, whatever stands before them."""
    registry.webhooks.add(a_webhook())
    for number in range(1, 6):
        log_events(registry, range(number, number + 1))
        registry.deliveries.form(NOW, iter(str(number)).__next__)
    claims = go_round(registry, NOW, lambda: "none").claims
    for claim in claims[4:1:-1]:
        finish(registry, [claim], NOW + 10 - claim.delivery.delivery_id)

    removed = [registry.retention.sweep_deliveries(LATER, 2) for _ in range(3)]

    assert [2, 1, 0] == removed
    assert 2 == count(registry, "deliveries")


# --- cost


@pytest.mark.parametrize("name", ["sweep_verdicts", "sweep_deliveries", "sweep_events"])
@pytest.mark.parametrize("stuck", [True, False])
def test_a_step_costs_the_same_however_much_is_stored(
    registry: Registry, name: str, stuck: bool
) -> None:
    """No scan of the whole table: SQLite's own instructions are counted."""
    registry.webhooks.add(a_webhook())
    costs = []
    for first in (1, 501):
        log_events(registry, range(first, first + 500))
        deliver(registry)
        set_webhook(registry, cursor=2 if stuck else first + 499)
        costs.append(instructions(registry, name))

    assert costs[1] <= costs[0] * 1.1


def instructions(registry: Registry, name: str) -> int:
    """Return how many instructions SQLite takes for a step that removes nothing."""
    calls = list[None]()
    registry._database._connection.set_progress_handler(lambda: calls.append(None), 1)
    removed = getattr(registry.retention, name)(NOW, 50)
    registry._database._connection.set_progress_handler(None, 1)
    assert removed == 0
    return len(calls)
