"""What the status page reads of the store: newest events, and how webhooks are doing."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from openclick.instants import SECOND
from openclick.store import JudgeCursor, Registry, Store, StoreFault, WebhookFigures, open_store
from openclick.store.webhook_figures import LATEST_DELIVERIES
from openclick.tokens import Kind
from openclick.verdicts import Verdict, Visitor
from openclick.webhooks import Claim, DeliveryState, Settlement, WebhookStatus
from unit.delivery_steps import delivered, failed, go_round
from unit.samples import (
    DESTINATION,
    DOMAIN,
    EMAIL_ID,
    NOW,
    a_judgement,
    a_message,
    a_webhook,
    log_events,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with one message."""
    store = open_store(f"sqlite:{tmp_path}")
    with closing(store.message_log()) as log:
        log.record([a_message()])
    store.registry().close()
    return store


@pytest.fixture
def registry(store: Store) -> Iterator[Registry]:
    """Return its openclick.db, open to write, with one webhook."""
    with closing(store.registry()) as opened:
        opened.webhooks.add(a_webhook())
        yield opened


def figures(store: Store) -> WebhookFigures:
    """Return those of the one webhook."""
    with closing(store.registry_reader()) as reader:
        (one,) = reader.webhook_figures.many()
    return one


class TestRecentEvents:
    """The newest events, with verdict and queue id."""

    def test_an_event_is_told_whole(self, store: Store, registry: Registry) -> None:
        """What happened, who did it by which rule, and of which mail."""
        judged = replace(
            a_judgement(kind=Kind.CLICK),
            verdict=Verdict(Visitor.PROXY, "google-proxy", "x", "google"),
        )
        registry.events.record_judgements([judged], JudgeCursor("file", 1), NOW)

        with closing(store.recent_events()) as reader:
            (event,) = reader.many(10)

        assert (event.email_id, event.sending_domain) == (EMAIL_ID, DOMAIN)
        assert (event.destination, event.occurred_at) == (DESTINATION, judged.hit.received_at)
        assert (event.visitor, event.rule, event.source) == ("proxy", "google-proxy", "google")
        assert event.queue_id == "4Xk2Q1z0"

    def test_newest_first_and_no_more_than_asked_for(
        self, store: Store, registry: Registry
    ) -> None:
        """In the order of the log."""
        log_events(registry, range(1, 20))

        with closing(store.recent_events()) as reader:
            events = reader.many(3)

        assert [event.occurred_at - NOW for event in events] == [19, 18, 17]

    def test_only_those_of_some_messages(self, store: Store, registry: Registry) -> None:
        """None where nothing was named; of many the first count."""
        log_events(registry, range(1, 3))

        with closing(store.recent_events()) as reader:
            counted = [
                len(reader.many(10, ids))
                for ids in ([EMAIL_ID], [b"x" * 16], [], [EMAIL_ID, *[b"x" * 16] * 1000])
            ]

        assert counted == [2, 0, 0, 2]

    def test_without_messages(self, tmp_path: Path) -> None:
        """A file that is not there is named."""
        store = open_store(f"sqlite:{tmp_path}")
        store.registry().close()

        with pytest.raises(StoreFault, match=r"messages\.db"):
            store.recent_events()

        assert not store.has_messages()


class TestWebhookFigures:
    """Attempts of the newest deliveries, and the backlog."""

    def test_no_attempt_yet(self, store: Store, registry: Registry) -> None:
        """Its events wait."""
        log_events(registry, range(1, 4))

        found = figures(store)

        assert (found.attempts, found.accepted, found.retries, found.abandoned) == (0, 0, 0, 0)
        assert found.last_attempt is None
        assert found.backlog.oldest_event_at == NOW + 1

    def test_attempts_are_counted(self, store: Store, registry: Registry) -> None:
        """One that failed, and its retry that did not."""
        log_events(registry, range(1, 4))
        self._settle(registry, lambda claim: failed(claim, NOW + 5 * SECOND, NOW + SECOND))
        mid = figures(store)

        self._settle(registry, lambda claim: delivered(claim, NOW + 6 * SECOND), 5)
        found = figures(store)

        assert mid.last_attempt is not None
        assert (mid.last_attempt.accepted, mid.last_attempt.status_code) == (False, 500)
        assert mid.last_attempt.error == "answered 500"
        assert (mid.attempts, mid.accepted, mid.backlog.pending_deliveries) == (1, 0, 1)
        assert (found.attempts, found.accepted, found.retries) == (2, 1, 1)
        assert found.last_attempt is not None
        assert found.last_attempt.accepted
        assert found.last_attempt.finished_at == NOW + 6 * SECOND
        assert found.backlog.oldest_event_at is None

    def test_what_was_given_up(self, store: Store, registry: Registry) -> None:
        """Counted for as long as it is listed."""
        log_events(registry, range(1, 4))

        self._settle(registry, lambda claim: failed(claim, NOW, NOW, state=DeliveryState.ABANDONED))

        assert figures(store).abandoned == 1

    def test_an_attempt_under_way(self, store: Store, registry: Registry) -> None:
        """It neither succeeded nor failed."""
        log_events(registry, range(1, 4))
        go_round(registry, NOW, map("{:032x}".format, count(1)).__next__)

        assert figures(store).attempts == 0

    def test_of_many_deliveries_the_newest(self, store: Store, registry: Registry) -> None:
        """So that the figures cost the same however many there are."""
        batch_ids = map("{:032x}".format, count(1))
        for number in range(LATEST_DELIVERIES + 3):
            log_events(registry, range(number + 1, number + 2))
            claims = go_round(registry, NOW, batch_ids.__next__).claims
            go_round(registry, NOW, batch_ids.__next__, [delivered(each) for each in claims])

        assert figures(store).attempts == LATEST_DELIVERIES

    def test_state_and_its_reason(self, store: Store, registry: Registry) -> None:
        """As the admin, or a receiver, left it."""
        registry.webhooks.disable("wh_1", NOW, "disabled by an admin")

        found = figures(store)

        assert (found.status, found.status_reason) == (
            WebhookStatus.DISABLED,
            "disabled by an admin",
        )

    def _settle(
        self, registry: Registry, end: Callable[[Claim], Settlement], later_seconds: int = 0
    ) -> None:
        at = NOW + later_seconds * SECOND
        batch_ids = map(f"{later_seconds:02x}{{:030x}}".format, count(1))
        claims = go_round(registry, at, batch_ids.__next__).claims
        assert claims
        go_round(registry, at, batch_ids.__next__, [end(each) for each in claims])
