"""The dispatcher over days, under a clock that is handed in: the list, the circuit, Retry-After."""

import itertools
import json
import logging
import os

import pytest
import pytest_twisted

from openclick.instants import SECOND
from openclick.store import StoreFault
from openclick.webhook_actions import rotate_secret
from openclick.webhooks import DeliveryState, WebhookStatus
from openclick_sidecar.dispatcher import Dispatcher
from openclick_sidecar.post import PostOutcome, Reply
from support.signatures import verify_signature
from unit.dispatcher.delivery_days import OK, Days
from unit.memory_net import turn
from unit.samples import NOW, SECRET, a_webhook

NO_ANSWER = Reply(None, "ConnectionRefusedError", "", PostOutcome.CONNECT)
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
LIST = [0, 5, 65, 365, 2165, 9365, 27_365, 63_365, 106_565, 149_765, 192_965, 236_165]
"""Seconds after the first attempt: the sums of DESIGN 7's list, then every 12 hours."""


@pytest_twisted.ensureDeferred
async def test_the_whole_schedule(days: Days, caplog: pytest.LogCaptureFixture) -> None:
    """Twelve attempts in three days, while others succeed; then it stands in the list."""
    poison = f"{1:032x}"
    days.endpoint.refuses = {poison}
    numbers = itertools.count(2)
    await days.log(1)

    with caplog.at_level(logging.WARNING):
        for seconds in LIST:
            await days.at(NOW + max(0, seconds - 1) * SECOND)  # a second early: nothing
            await days.at(NOW + seconds * SECOND)
            await days.log(next(numbers))
            await days.at(NOW + seconds * SECOND)
        for later in (12, 24, 1000):
            await days.at(NOW + 236_165 * SECOND + later * HOUR)

    assert LIST == days.endpoint.times_of(poison)
    bodies = [body for _, batch, _, body in days.endpoint.posts if batch == poison]
    assert 1 == len({json.dumps(json.loads(body)["events"]) for body in bodies})
    for at, _, fields, body in days.endpoint.posts:
        verify_signature(SECRET, fields["Anypost-Signature"], body, at // SECOND)
    states = [report.delivery.state for report in await days.reports()]
    assert [DeliveryState.ABANDONED] + [DeliveryState.DELIVERED] * 12 == states
    assert f"{poison}: abandoned webhook=wh_1 events=1 attempt=12 status=500" in caplog.text
    assert await days.status() is WebhookStatus.ACTIVE


@pytest_twisted.ensureDeferred
async def test_the_circuit(days: Days, caplog: pytest.LogCaptureFixture) -> None:
    """Ten failures open it; one probe a minute, in turns; a success sends all that waited."""
    days.endpoint.reply = NO_ANSWER
    await days.log(1, 250)
    at = NOW
    while await days.status() is WebhookStatus.ACTIVE:
        await days.at(at)
        at += 5 * SECOND
    opened_at = days.endpoint.now
    assert len(days.endpoint.posts) in range(10, 13)  # those under way then came to their end
    before = [report.delivery for report in await days.reports()]
    days.endpoint.posts.clear()

    await days.log(1001, 100)
    for seconds in range(0, 600, 5):
        await days.at(opened_at + seconds * SECOND)
    probes = list(days.endpoint.posts)
    after = [report.delivery for report in await days.reports()][: len(before)]
    days.endpoint.reply = OK
    with caplog.at_level(logging.INFO):
        await days.at(opened_at + 600 * SECOND)

    assert [60 * n for n in range(1, 10)] == [(p[0] - opened_at) // SECOND for p in probes]
    assert {f"{number:032x}" for number in range(1, 5)} == {batch for _, batch, *_ in probes[:4]}
    assert [(d.place, d.waited_seconds) for d in before] == [
        (d.place, d.waited_seconds) for d in after
    ]
    assert {DeliveryState.DELIVERED} == {r.delivery.state for r in await days.reports()}
    assert 350 == sum(report.event_count for report in await days.reports())
    assert await days.status() is WebhookStatus.ACTIVE
    assert "wh_1: circuit closed, deliveries go on" in caplog.text


@pytest_twisted.ensureDeferred
async def test_three_days_stand_still_while_the_circuit_is_open(days: Days) -> None:
    """A delivery that is alone is probed for ten days, and then it is delivered."""
    days.endpoint.reply = NO_ANSWER
    await days.log(1)
    for seconds in LIST[:10]:
        await days.at(NOW + seconds * SECOND)
    assert await days.status() is WebhookStatus.CIRCUIT_DISABLED

    for day in range(2, 12):
        await days.at(NOW + day * DAY)
    (waiting,) = await days.reports()
    days.endpoint.reply = OK
    await days.at(NOW + 12 * DAY)

    assert (DeliveryState.PENDING, 10) == (waiting.delivery.state, waiting.delivery.place)
    assert [DeliveryState.DELIVERED] == [r.delivery.state for r in await days.reports()]
    assert 21 == len(days.endpoint.posts)


@pytest_twisted.ensureDeferred
async def test_retry_after_pauses_the_webhook(days: Days) -> None:
    """Neither this delivery nor another is posted before its time."""
    days.endpoint.reply = Reply(
        429, "answered 429", "", PostOutcome.CLIENT_ERROR, retry_after="3600"
    )
    await days.log(1)
    await days.at(NOW)
    days.endpoint.reply = OK

    await days.log(2)
    await days.at(NOW + HOUR - 1)
    assert 1 == len(days.endpoint.posts)
    await days.at(NOW + HOUR)

    assert 3 == len(days.endpoint.posts)
    assert {DeliveryState.DELIVERED} == {r.delivery.state for r in await days.reports()}


@pytest_twisted.ensureDeferred
async def test_both_secrets_sign_after_a_rotation(days: Days) -> None:
    """For 24 hours, and then the new one alone."""
    new = await days.bookkeeper.run(lambda r: rotate_secret(r, NOW, os.urandom, "wh_1").secret)
    days.endpoint.reply = OK

    for number, at in enumerate((NOW, NOW + DAY - 1, NOW + DAY), start=1):
        await days.log(number)
        await days.at(at)

    counts = [fields["Anypost-Signature"].count("v1=") for _, _, fields, _ in days.endpoint.posts]
    standard = [len(fields["webhook-signature"].split()) for _, _, fields, _ in days.endpoint.posts]
    assert [2, 2, 1] == counts == standard
    for at, _, fields, body in days.endpoint.posts[:2]:
        for secret in (SECRET, new):
            verify_signature(secret, fields["Anypost-Signature"], body, at // SECOND)


@pytest_twisted.ensureDeferred
async def test_410_abandons_what_is_pending(days: Days, caplog: pytest.LogCaptureFixture) -> None:
    """The webhook is disabled, and the log says why; what may be secret in its URL is left out."""
    days.endpoint.reply = Reply(410, "answered 410", "", PostOutcome.CLIENT_ERROR)
    url = "https://hooks.example/T024/geheim?token=geheim"
    await days.bookkeeper.run(lambda registry: registry.webhooks.describe(a_webhook(url=url)))
    await days.log(1, 900)

    await days.at(NOW)

    assert await days.status() is WebhookStatus.DISABLED
    assert {DeliveryState.ABANDONED} == {r.delivery.state for r in await days.reports()}
    (told,) = [text for text in caplog.messages if text.startswith("wh_1: ")]
    assert told.startswith(
        "wh_1: disabled, its events are skipped url=https://hooks.example reason="
    )
    assert "geheim" not in caplog.text
    assert len(days.endpoint.posts) <= 4


@pytest_twisted.ensureDeferred
async def test_an_end_that_cannot_be_written_is_written_later(
    days: Days, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is posted once, although the store had a fault in between."""
    days.endpoint.reply = OK
    await days.log(1)
    real, calls = Dispatcher._round, itertools.count()

    def faulty(self: Dispatcher, *args: object) -> object:
        if next(calls) == 1:
            raise StoreFault("openclick.db: disk is full")
        return real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Dispatcher, "_round", faulty)
    await days.dispatcher.tick()
    while days.dispatcher._fault == "":
        await turn()

    await days.at(NOW + SECOND)

    assert 1 == len(days.endpoint.posts)
    assert [DeliveryState.DELIVERED] == [r.delivery.state for r in await days.reports()]
