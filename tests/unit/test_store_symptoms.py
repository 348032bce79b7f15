"""What `openclick doctor` reads of webhooks in openclick.db."""

from contextlib import closing
from pathlib import Path

from openclick.store import open_store
from unit.samples import NOW, a_webhook, log_events


def test_each_webhook_with_what_waits_and_what_was_given_up(tmp_path: Path) -> None:
    """Oldest first; read by whoever may read the file, while another writes it."""
    store, names = open_store(f"sqlite:{tmp_path}"), iter(("a" * 32, "b" * 32))
    with closing(store.registry(owner=True)) as registry:
        registry.webhooks.add(a_webhook(webhook_id="wh_2", created_at=NOW + 1))
        registry.webhooks.add(a_webhook(webhook_id="wh_1", created_at=NOW))
        log_events(registry, range(1, 4))
        registry.deliveries.form(NOW, lambda: next(names))
        registry.webhooks.disable("wh_2", NOW, "by hand")

        with closing(store.symptoms()) as symptoms:
            first, second = symptoms.webhooks()

    assert (first.webhook.webhook_id, first.backlog.pending_deliveries, first.abandoned) == (
        "wh_1",
        1,
        0,
    )
    assert first.backlog.oldest_event_at == NOW + 1
    assert first.oldest is not None
    assert (first.oldest.batch_id, first.oldest.attempts) == ("b" * 32, 0)
    assert (first.due_at, first.unread_at) == (NOW, None)
    assert (second.oldest, second.due_at, second.unread_at) == (None, None, None)
    assert (second.webhook.status_reason, second.abandoned) == ("by hand", 1)


def test_events_that_are_in_no_delivery_yet(tmp_path: Path) -> None:
    """As where no sidecar runs: since when the first of them waits."""
    store = open_store(f"sqlite:{tmp_path}")
    with closing(store.registry(owner=True)) as registry:
        registry.webhooks.add(a_webhook(created_at=NOW))
        log_events(registry, range(1, 4))

        with closing(store.symptoms()) as symptoms:
            (state,) = symptoms.webhooks()

    assert (None, None, NOW + 1) == (state.oldest, state.due_at, state.unread_at)
