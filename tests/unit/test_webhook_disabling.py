"""Disabling: what a webhook should have had by then stands in its list, and can be sent."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from openclick.store import Registry
from openclick.webhook_actions import WebhookChange, retry_abandoned, update_webhook
from openclick.webhook_rules import UrlRules
from openclick.webhooks import DeliveryState, Settlement
from unit.delivery_steps import REFUSED, delivered, failed, go_round
from unit.samples import NOW, a_message, a_webhook, log_events

STRICT = UrlRules(allow_http=False, allow_private_networks=())
BEFORE, MEANWHILE, AFTER = range(1, 3001), range(3001, 3301), range(3301, 3401)


@pytest.fixture
def registry(registry: Registry) -> Registry:
    """Return a registry with one webhook."""
    registry.webhooks.add(a_webhook())
    return registry


def switch(registry: Registry, status: str) -> None:
    """Set the status of the webhook, as an admin does."""
    update_webhook(registry, STRICT, NOW, "wh_1", WebhookChange(status=status))


def posted(registry: Registry, new_batch_id: Callable[[], str]) -> list[int]:
    """Deliver all that is due; return the numbers of the events, each as often as it came."""
    numbers, ends = [], list[Settlement]()
    while claims := go_round(registry, NOW, new_batch_id, ends).claims:
        bodies = [body for claim in claims for body in claim.bodies]
        numbers += [int(json.loads(body)["id"].removeprefix("evt_"), 16) for body in bodies]
        ends = [delivered(claim) for claim in claims]
    return sorted(numbers)


def test_what_no_delivery_held_yet_is_abandoned(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """A retry sends it, once; what came while it was disabled is skipped."""
    log_events(registry, BEFORE)
    go_round(registry, NOW, new_batch_id, each=0)  # 20 deliveries: 2,000 of the events
    switch(registry, "disabled")
    log_events(registry, MEANWHILE)
    switch(registry, "active")
    log_events(registry, AFTER)

    by_itself = posted(registry, new_batch_id)
    retried = retry_abandoned(registry, NOW, "wh_1")

    assert list(AFTER) == by_itself
    assert 30 == retried
    assert list(BEFORE) == posted(registry, new_batch_id)


def test_a_receiver_that_wants_no_more(registry: Registry, new_batch_id: Callable[[], str]) -> None:
    """410 does as an admin does: every event by then stands in the list."""
    log_events(registry, BEFORE)
    (claim,) = go_round(registry, NOW, new_batch_id, each=1).claims
    gone = failed(
        *(claim, NOW),
        attempt=replace(REFUSED, status_code=410),
        state=DeliveryState.ABANDONED,
        gone=True,
    )

    go_round(registry, NOW, new_batch_id, [gone])

    reports = registry.delivery_desk.many_reports("wh_1", DeliveryState.ABANDONED, 1000)
    assert len(BEFORE) == sum(report.event_count for report in reports)
    assert len(reports) == len({report.delivery.batch_id for report in reports}) == 30


def test_only_what_it_asked_for(registry: Registry, new_batch_id: Callable[[], str]) -> None:
    """Other events are in no list of its own, and long stretches of them are read over."""
    registry.webhooks.add(a_webhook(webhook_id="wh_2", domains=("b.example",)))
    log_events(registry, BEFORE)
    log_events(registry, range(5001, 5003), a_message(sending_domain="b.example"))

    registry.webhooks.disable("wh_2", NOW, "by hand")

    (report,) = registry.delivery_desk.many_reports("wh_2", None, 1000)
    assert (2, DeliveryState.ABANDONED) == (report.event_count, report.delivery.state)
    assert (*BEFORE, 5001, 5002) == tuple(posted(registry, new_batch_id))


def test_nothing_waits(registry: Registry) -> None:
    """No delivery is made of nothing, and disabling twice adds nothing."""
    switch(registry, "disabled")
    log_events(registry, MEANWHILE)

    registry.webhooks.disable("wh_1", NOW, "again")

    states = registry.deliveries.count_by_state()
    assert 0 == sum(states.values())
