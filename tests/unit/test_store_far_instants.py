"""A clock that was ahead, a VM's before NTP say: when it is right, nothing waits for its year."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openclick.instants import SECOND
from openclick.store import Registry, open_store
from openclick.store.far_instants import (
    LONGEST_CLAIM_SECONDS,
    LONGEST_PAUSE_SECONDS,
    LONGEST_WAIT_SECONDS,
)
from openclick.webhook_actions import retry_delivery
from openclick.webhook_rules import WebhookError
from openclick.webhooks import Claim, Settlement, WebhookStatus
from openclick_sidecar.backoff import MAX_RETRY_AFTER_SECONDS
from unit.delivery_steps import delivered, failed, go_round
from unit.samples import NOW, a_webhook, log_events

DAY = 86_400 * SECOND
AHEAD = NOW + 400 * DAY


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], Registry]]:
    """Return what opens the registry, each time as another process would."""
    registries: list[Registry] = []

    def open_anew() -> Registry:
        registries.append(open_store(f"sqlite:{tmp_path}").registry(owner=True))
        return registries[-1]

    yield open_anew
    for registry in registries:
        registry.close()


def claimed(registry: Registry, new_batch_id: Callable[[], str], at: int = AHEAD) -> Claim:
    """Add a webhook and an event, and claim the delivery."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 2))
    (claim,) = go_round(registry, at, new_batch_id).claims
    return claim


def test_a_claim_of_a_crash(
    opened: Callable[[], Registry], new_batch_id: Callable[[], str]
) -> None:
    """The next start finds it, and posts the batch."""
    first = claimed(opened(), new_batch_id)

    (again,) = go_round(opened(), NOW, new_batch_id).claims

    assert first.delivery.batch_id == again.delivery.batch_id


def test_a_clock_that_is_set_right_meanwhile(
    opened: Callable[[], Registry], new_batch_id: Callable[[], str]
) -> None:
    """The process goes on, and so do its deliveries."""
    registry = opened()
    claim = claimed(registry, new_batch_id)
    go_round(registry, AHEAD, new_batch_id, [failed(claim, AHEAD + 5 * SECOND, AHEAD)])

    claims = go_round(registry, NOW, new_batch_id).claims

    assert [claim.delivery.batch_id] == [again.delivery.batch_id for again in claims]


def test_what_was_formed_while_the_clock_was_ahead(
    opened: Callable[[], Registry], new_batch_id: Callable[[], str]
) -> None:
    """And never tried, since there was no slot: it waits for nothing, however near its instant."""
    registry = opened()
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 202))
    (first,) = go_round(registry, NOW + 2 * DAY, new_batch_id, each=1).claims

    under_way = (first.delivery.delivery_id,)
    rest = go_round(registry, NOW, new_batch_id, under_way=under_way).claims

    assert len(rest) == 2


def test_an_end_that_was_dated_before_the_clock_was_set(
    opened: Callable[[], Registry], new_batch_id: Callable[[], str]
) -> None:
    """However late it is written."""
    registry = opened()
    claim = claimed(registry, new_batch_id)
    go_round(registry, NOW, new_batch_id, under_way=(claim.delivery.delivery_id,))
    end = failed(claim, AHEAD + 5 * SECOND, AHEAD, pause_until=AHEAD + 60 * SECOND)

    claims = go_round(registry, NOW + 1, new_batch_id, [end]).claims

    assert [claim.delivery.batch_id] == [again.delivery.batch_id for again in claims]


def test_an_attempt_that_is_under_way_stays_so(
    opened: Callable[[], Registry], new_batch_id: Callable[[], str]
) -> None:
    """The clock says nothing of what this very process does."""
    registry = opened()
    claim = claimed(registry, new_batch_id)

    claims = go_round(registry, NOW, new_batch_id, under_way=(claim.delivery.delivery_id,)).claims

    assert () == claims
    go_round(registry, NOW + 1, new_batch_id, [delivered(claim, NOW + 1)])
    assert () == go_round(registry, NOW + DAY, new_batch_id).claims


def test_an_open_circuit_is_probed(
    opened: Callable[[], Registry], new_batch_id: Callable[[], str]
) -> None:
    """Now, not in 400 days."""
    registry = opened()
    claim, ends = claimed(registry, new_batch_id), list[Settlement]()
    for second in range(1, 11):
        at = AHEAD + second * SECOND
        ends = [failed(claim, at, at)]
        claim = (*go_round(registry, at, new_batch_id, ends).claims, claim)[0]
    before = registry.webhooks.one_webhook("wh_1")

    claims = go_round(registry, NOW, new_batch_id).claims

    assert (WebhookStatus.CIRCUIT_DISABLED, True) == (before.status, (before.probe_at or 0) > AHEAD)
    assert 1 == len(claims)


def test_a_pause_ends(opened: Callable[[], Registry], new_batch_id: Callable[[], str]) -> None:
    """A receiver's Retry-After was an hour."""
    registry = opened()
    claim = claimed(registry, new_batch_id)
    end = failed(claim, AHEAD, AHEAD, pause_until=AHEAD + 3600 * SECOND)
    go_round(registry, AHEAD, new_batch_id, [end])

    assert 1 == len(go_round(registry, NOW, new_batch_id).claims)


def test_an_admin_may_retry(
    opened: Callable[[], Registry], new_batch_id: Callable[[], str]
) -> None:
    """A claim of next year is nobody's attempt; one of this moment is."""
    registry = opened()
    claim = claimed(registry, new_batch_id)

    retry_delivery(registry, NOW, claim.delivery.batch_id)

    (again,) = go_round(registry, NOW, new_batch_id).claims
    with pytest.raises(WebhookError, match="an attempt is being made right now"):
        retry_delivery(registry, NOW + SECOND, again.delivery.batch_id)


def test_ordinary_waits_are_waited_for(
    opened: Callable[[], Registry], new_batch_id: Callable[[], str]
) -> None:
    """The longest of each, whatever opens the store or sets the clock a little back."""
    registry = opened()
    claim = claimed(registry, new_batch_id, NOW)
    wait = int(604_800 * 1.1) * SECOND
    go_round(registry, NOW, new_batch_id, [failed(claim, NOW + wait)])

    early = go_round(registry, NOW - 60 * SECOND, new_batch_id).claims
    reopened = go_round(opened(), NOW, new_batch_id).claims

    assert ((), ()) == (early, reopened)
    assert LONGEST_PAUSE_SECONDS > MAX_RETRY_AFTER_SECONDS
    assert LONGEST_CLAIM_SECONDS > 120 + 5
    assert LONGEST_WAIT_SECONDS > 604_800 * 1.1


def test_a_claim_beside_a_reopened_store(
    opened: Callable[[], Registry], new_batch_id: Callable[[], str]
) -> None:
    """An ordinary claim holds, also where the file was opened anew meanwhile."""
    claimed(opened(), new_batch_id, NOW)

    assert () == go_round(opened(), NOW + SECOND, new_batch_id).claims
