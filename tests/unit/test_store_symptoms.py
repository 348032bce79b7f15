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
    assert (second.webhook.status_reason, second.abandoned) == ("by hand", 1)
