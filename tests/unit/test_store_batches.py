"""Where a batch ends: at a hundred events, or before its POST becomes too large for a receiver."""

import json
from collections.abc import Callable

import pytest

from openclick.store import Registry
from openclick.store.forming import UNATTEMPTED_DELIVERIES
from openclick.webhooks import MAX_BATCH_BODIES_BYTES, Settlement
from unit.delivery_steps import delivered, go_round
from unit.samples import NOW, a_message, a_webhook, log_events

NGINX_BYTES = 1024 * 1024
"""What nginx takes by default (client_max_body_size)."""
MANY = tuple(f"recipient-{number:04}@reader.example" for number in range(1000))
"""Recipients of one transaction: they make an event of some 33 kB."""
TOO_MANY = tuple(f"{'x' * 200}-{number:05}@reader.example" for number in range(3000))
"""They make one that passes the bound alone."""


@pytest.fixture
def registry(registry: Registry) -> Registry:
    """Return a registry with one webhook."""
    registry.webhooks.add(a_webhook())
    return registry


def all_batches(registry: Registry, new_batch_id: Callable[[], str]) -> list[tuple[bytes, ...]]:
    """Return the events of every delivery, once all of them are delivered."""
    batches, ends = [], list[Settlement]()
    while claims := go_round(registry, NOW, new_batch_id, ends, each=1000).claims:
        batches += [claim.bodies for claim in claims]
        ends = [delivered(claim) for claim in claims]
    return batches


def ids(batches: list[tuple[bytes, ...]]) -> list[str]:
    """Return the event ids of batches, in order."""
    return [json.loads(body)["id"] for bodies in batches for body in bodies]


def test_large_events_make_small_batches(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """A POST stays below what nginx takes, and each event is in one batch."""
    log_events(registry, range(1, 151), a_message(recipients=MANY))

    batches = all_batches(registry, new_batch_id)

    sizes = [sum(map(len, bodies)) for bodies in batches]
    assert max(sizes) <= MAX_BATCH_BODIES_BYTES < NGINX_BYTES - 100 * 1024
    assert min(sizes[:-1]) > MAX_BATCH_BODIES_BYTES - 40_000
    assert [f"evt_{number:032x}" for number in range(1, 151)] == ids(batches)


def test_an_event_that_is_larger_goes_alone(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """It cannot be smaller, and its neighbours need not share its fate."""
    log_events(registry, range(1, 3))
    log_events(registry, range(3, 5), a_message(recipients=TOO_MANY))
    log_events(registry, range(5, 7))

    batches = all_batches(registry, new_batch_id)

    assert [2, 1, 1, 2] == [len(bodies) for bodies in batches]


def test_what_is_formed_ahead_stays_bounded(
    registry: Registry, new_batch_id: Callable[[], str]
) -> None:
    """Also where a page of the log makes more batches than there is room for: none is left out."""
    count = 20 * UNATTEMPTED_DELIVERIES
    log_events(registry, range(1, count + 1), a_message(recipients=MANY))

    formed = registry.deliveries.form(NOW, new_batch_id)
    again = registry.deliveries.form(NOW, new_batch_id)

    assert (UNATTEMPTED_DELIVERIES, 0) == (formed, again)
    assert [f"evt_{number:032x}" for number in range(1, count + 1)] == ids(
        all_batches(registry, new_batch_id)
    )
