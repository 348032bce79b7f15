"""An end that the store refuses: it stops nobody else's deliveries, nor its own for ever."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_twisted

from openclick.instants import SECOND
from openclick.store import Registry, open_store
from openclick.webhooks import DeliveryState
from openclick_sidecar.post import PostOutcome, Reply
from unit.dispatcher.delivery_days import OK, OOPS, Days, Endpoint
from unit.samples import NOW, a_webhook, log_events

TOO_LARGE = replace(OOPS, status_code=2**64)
UNWRITABLE = "the end of the attempt could not be written"


@pytest_twisted.async_yield_fixture
async def days(tmp_path: Path) -> AsyncIterator[Days]:
    """Return a dispatcher with two webhooks and one event."""
    made = Days(open_store(f"sqlite:{tmp_path}"))
    made.bookkeeper.start()
    await made.bookkeeper.run(_add)
    yield made
    made.bookkeeper.stop()


def _add(registry: Registry) -> None:
    for number in (1, 2):
        registry.webhooks.add(a_webhook(webhook_id=f"wh_{number}"))
    log_events(registry, range(1, 2))


@pytest.mark.parametrize(
    "reply",
    [
        TOO_LARGE,
        replace(OOPS, excerpt="\ud800"),
        replace(OOPS, error="\udcff"),
        Reply(None, "\ud800", "\ud800", PostOutcome.BROKEN),
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_unwritable_end(
    days: Days, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    """Is written as a plain failed one, and the other webhook has its delivery."""
    days.endpoint.refuses, days.endpoint.reply = {f"{1:032x}"}, reply

    await days.at(NOW)
    await days.at(NOW + 1)

    (bad,), (good,) = await days.reports("wh_1"), await days.reports("wh_2")
    assert DeliveryState.DELIVERED is good.delivery.state
    assert (DeliveryState.PENDING, 1) == (bad.delivery.state, bad.delivery.place)
    assert bad.last_attempt is not None
    assert (None, "", "broken") == (
        bad.last_attempt.status_code,
        bad.last_attempt.excerpt,
        bad.last_attempt.outcome,
    )
    assert bad.last_attempt.error.startswith(UNWRITABLE)
    assert f"{1:032x}: {UNWRITABLE}" in caplog.text


@pytest_twisted.ensureDeferred
async def test_what_was_taken_stays_taken(days: Days) -> None:
    """A 2xx whose text cannot be kept is a 2xx: the batch is not posted again."""
    days.endpoint.refuses = {f"{1:032x}"}
    days.endpoint.reply = replace(OK, excerpt="\ud800")

    await days.at(NOW)
    await days.at(NOW + 3600 * SECOND)

    (taken,) = await days.reports("wh_1")
    assert (DeliveryState.DELIVERED, 1) == (taken.delivery.state, taken.delivery.attempts)


class MadClock(Endpoint):
    """While `is_mad`, what is posted ends at an instant that no store can hold."""

    is_mad = True

    async def post(self, _url: str, body: bytes, fields: dict[str, str]) -> Reply:
        """Answer, and let the clock jump."""
        reply = await super().post(_url, body, fields)
        self.now = 2**64 if self.is_mad else self.now
        return reply


@pytest_twisted.ensureDeferred
async def test_an_end_that_nothing_can_write(days: Days) -> None:
    """Is left to its claim's end, and the batch is posted again."""
    days.endpoint = mad = MadClock()
    mad.reply = OK
    days.dispatcher.poster = mad  # type: ignore[assignment]

    with pytest.raises(OverflowError):
        await days.dispatcher.tick()
    mad.is_mad = False
    await days.at(NOW + 1)
    await days.at(NOW + 20 * SECOND)

    for webhook_id in ("wh_1", "wh_2"):
        (report,) = await days.reports(webhook_id)
        assert (DeliveryState.DELIVERED, 2) == (report.delivery.state, report.delivery.attempts)
