"""A store of before circuits and claims: what was pending goes on where it stood."""

from contextlib import closing
from pathlib import Path

from openclick.instants import SECOND
from openclick.store import open_store
from openclick.webhooks import DeliveryState, WebhookStatus
from unit.delivery_steps import go_round
from unit.old_store import older_registry
from unit.samples import NOW, SECRET


def make_old_store(directory: Path) -> None:
    """Write openclick.db with schema 3: one webhook, one delivery that has failed twice."""
    with older_registry(directory, 3) as connection:
        connection.execute(
            "INSERT INTO webhooks VALUES ('wh_1', 'shop', 'https://a.example/', "
            "'[\"email.clicked\"]', '[]', ?, 'active', ?, 1)",
            (SECRET, NOW),
        )
        connection.execute(
            "INSERT INTO events VALUES (1, 'evt_1', 'email.clicked', ?, x'00', NULL, x'7b7d')",
            (NOW,),
        )
        connection.execute(
            "INSERT INTO deliveries VALUES (1, 'wh_1', 'b1', 'pending', 2, ?, ?, NULL)",
            (NOW + 65 * SECOND, NOW),
        )
        connection.execute("INSERT INTO delivery_events VALUES (1, 1)")
        connection.execute("INSERT INTO attempts (delivery_id, number, started_at) VALUES (1,2,1)")


def test_a_pending_delivery_goes_on(tmp_path: Path) -> None:
    """At its time, at its place in the list, with what it has waited."""
    make_old_store(tmp_path)

    with closing(open_store(f"sqlite:{tmp_path}").registry(owner=True)) as registry:
        early = go_round(registry, NOW + 64 * SECOND, lambda: "b2").claims
        (claim,) = go_round(registry, NOW + 65 * SECOND, lambda: "b2").claims
        webhook = registry.webhooks.one_webhook("wh_1")

    assert () == early
    assert (3, 2, 65.0) == (claim.number, claim.delivery.place, claim.delivery.waited_seconds)
    assert ((b"{}",), DeliveryState.PENDING) == (claim.bodies, claim.delivery.state)
    assert (WebhookStatus.ACTIVE, (SECRET,)) == (webhook.status, webhook.live_secrets(NOW))
