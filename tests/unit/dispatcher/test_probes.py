"""Probes of an open circuit: each pending delivery in its turn, and what they count for."""

import pytest
import pytest_twisted

from openclick.instants import SECOND
from openclick.webhooks import DeliveryState, WebhookStatus
from openclick_sidecar.post import PostOutcome, Reply
from unit.dispatcher.delivery_days import OOPS, Days
from unit.samples import NOW

MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
POISON = f"{1:032x}"
LAST_OF_THE_LIST_SECONDS = 236_165


async def open_circuit(days: Days) -> int:
    """Let attempts fail until the circuit is open; return the instant."""
    at = NOW
    while await days.status() is WebhookStatus.ACTIVE:
        at += 10 * MINUTE
        await days.at(at)
    return at


@pytest_twisted.ensureDeferred
async def test_a_batch_that_the_receiver_chokes_on_keeps_no_circuit_open(days: Days) -> None:
    """After an outage the next delivery closes it, though the oldest one fails for ever."""
    await days.log(1)
    for number in range(2, 6):
        await days.at(NOW)
        await days.log(number)
    at = await open_circuit(days)

    days.endpoint.refuses = {POISON}
    for minute in (1, 2):
        await days.at(at + minute * MINUTE)

    assert await days.status() is WebhookStatus.ACTIVE
    states = [report.delivery.state for report in await days.reports()]
    assert [DeliveryState.PENDING] + [DeliveryState.DELIVERED] * 4 == states


@pytest_twisted.ensureDeferred
async def test_each_pending_delivery_is_probed_in_its_turn(days: Days) -> None:
    """Whoever was tried longest ago; what was formed meanwhile comes after those who wait."""
    for number in range(1, 4):
        await days.log(number)
        await days.at(NOW)
    at = await open_circuit(days)
    await days.log(4)
    await days.at(at)
    days.endpoint.posts.clear()

    for minute in range(1, 9):
        await days.at(at + minute * MINUTE)

    probed = [int(batch, 16) for _, batch, *_ in days.endpoint.posts]
    assert {1, 2, 3, 4} == set(probed[:4])
    assert probed[:4] == probed[4:]


@pytest_twisted.ensureDeferred
async def test_what_nobody_can_take_is_abandoned_in_the_end(days: Days) -> None:
    """Where nothing else is pending either: at the end of its list, as without a circuit."""
    await days.log(1)
    at = await open_circuit(days)

    while (await days.reports())[0].delivery.state is DeliveryState.PENDING:
        at += HOUR
        await days.at(at)
        assert at < NOW + 2 * LAST_OF_THE_LIST_SECONDS * SECOND

    (report,) = await days.reports()
    assert DeliveryState.ABANDONED is report.delivery.state
    assert at >= NOW + LAST_OF_THE_LIST_SECONDS * SECOND
    assert 12 == report.delivery.place


@pytest.mark.parametrize("code", [None, 429, 502, 503, 504])
@pytest_twisted.ensureDeferred
async def test_an_outage_counts_for_nothing(days: Days, code: int | None) -> None:
    """No answer, or one that says "not now" or comes from a gateway, is no word on the batch."""
    await days.log(1)
    await open_circuit(days)
    before = (await days.reports())[0].delivery
    days.endpoint.reply = Reply(code, "down", "", PostOutcome.SERVER_ERROR)

    for hour in range(48, 240):
        await days.at(NOW + hour * HOUR)

    (report,) = await days.reports()
    after = report.delivery
    assert before.attempts + 192 == after.attempts
    assert (before.state, before.place, before.waited_seconds) == (
        after.state,
        after.place,
        after.waited_seconds,
    )


@pytest_twisted.ensureDeferred
async def test_a_probe_ahead_of_the_list_counts_for_nothing(days: Days) -> None:
    """A minute is no twelve hours: the list has its waits, however often it is probed between."""
    await days.log(1)
    at = await open_circuit(days)
    before = (await days.reports())[0].delivery
    assert before.next_attempt_at > at + 31 * MINUTE

    for minute in range(1, 31):
        await days.at(at + minute * MINUTE)

    (report,) = await days.reports()
    assert OOPS.error == (report.last_attempt and report.last_attempt.error)
    assert before.attempts + 30 == report.delivery.attempts
    assert (before.place, before.next_attempt_at) == (
        report.delivery.place,
        report.delivery.next_attempt_at,
    )
