"""Webhooks in openclick.db."""

import pytest

from openclick.store import Registry, StoreFault
from openclick.webhooks import WebhookStatus
from unit.samples import NOW, a_webhook


def test_a_webhook_comes_back_as_it_was(registry: Registry) -> None:
    """Every field."""
    webhook = a_webhook(domains=("a.example", "b.example"), status=WebhookStatus.DISABLED)

    registry.webhooks.add(webhook)

    assert webhook == registry.webhooks.one_webhook("wh_1")


def test_webhooks_are_listed_newest_first(registry: Registry) -> None:
    """As the API lists them."""
    for number in (1, 3, 2):
        registry.webhooks.add(a_webhook(webhook_id=f"wh_{number}", created_at=NOW + number))

    assert ["wh_3", "wh_2", "wh_1"] == [w.webhook_id for w in registry.webhooks.many_webhooks()]


def test_unknown_webhook(registry: Registry) -> None:
    """KeyError, since the caller had the id from somewhere."""
    with pytest.raises(KeyError, match="wh_9"):
        registry.webhooks.one_webhook("wh_9")


def test_an_id_is_used_once(registry: Registry) -> None:
    """The second one is a fault, not a replacement."""
    registry.webhooks.add(a_webhook())

    with pytest.raises(StoreFault, match="UNIQUE"):
        registry.webhooks.add(a_webhook(url="https://other.example/"))
