"""`openclick webhook`: changing, rotating, listing, retrying and replaying."""

import os
from collections.abc import Iterator
from contextlib import closing

import pytest

from openclick.instants import iso
from openclick.store import Registry
from openclick.webhooks import DeliveryState, WebhookStatus
from unit.admin.command_line import CommandLine
from unit.delivery_steps import delivered, failed, go_round
from unit.samples import NOW, SECRET, a_webhook, log_events


@pytest.fixture
def registry(openclick: CommandLine) -> Iterator[Registry]:
    """Return its registry, with the webhook wh_1."""
    with closing(openclick.store.registry()) as opened:
        opened.webhooks.add(a_webhook())
        yield opened


def batch_id() -> str:
    """Return another batch id each time."""
    return os.urandom(16).hex()


def make_deliveries(registry: Registry) -> tuple[str, str]:
    """Make an abandoned and a delivered delivery; return their batch ids."""
    log_events(registry, range(1, 151))
    first, second = go_round(registry, NOW, batch_id).claims
    given_up = failed(first, NOW, state=DeliveryState.ABANDONED)
    go_round(registry, NOW, batch_id, [given_up, delivered(second)])
    return first.delivery.batch_id, second.delivery.batch_id


def test_show(openclick: CommandLine, registry: Registry) -> None:
    """Everything but the secret; an unknown one is status 1."""
    shown = openclick("webhook", "show", "wh_1")
    as_json = openclick("webhook", "show", "wh_1", "--json")
    missing = openclick("webhook", "show", "wh_9")

    assert "https://hooks.kontor.example/in" in shown.text
    assert SECRET not in shown.text + as_json.text
    assert ("active", None, "whsec_MDEyMz") == (
        as_json.json["status"],
        as_json.json["signing_secret_grace_expires_at"],
        as_json.json["signing_secret_prefix"],
    )
    assert (1, "Error: wh_9: there is no such webhook\n") == (missing.status, missing.err)
    assert registry.webhooks.many_webhooks() == [a_webhook()]


@pytest.mark.parametrize("command", [("show",), ("deliveries", "--json"), ("retry",)])
def test_an_argument_that_is_no_text(openclick: CommandLine, command: tuple[str, ...]) -> None:
    """Bytes that are no UTF-8 come as half a character, which no store holds: one line says so."""
    done = openclick("webhook", *command, "wh_\udcff")

    assert (2, b"") == (done.status, done.out)
    assert "'wh_\\udcff' is no text: need utf-8" in done.err


def test_update(openclick: CommandLine, registry: Registry) -> None:
    """What is named changes, what is not stays; a bad value is status 2 and changes nothing."""
    done = openclick(
        *("webhook", "update", "wh_1", "--name", "other", "--domain", "a.example"),
        *("--event", "email.clicked", "--status", "disabled", "--json"),
    )
    refused = openclick("webhook", "update", "wh_1", "--url", "http://a.example/")
    opened = openclick("webhook", "update", "wh_1", "--all-domains", "--status", "active")

    assert (0, "switched off") == (done.status, done.json["status_reason"])
    assert (2, 0) == (refused.status, opened.status)
    assert "webhooks.allow_http" in refused.err
    assert a_webhook(name="other", events=("email.clicked",)) == registry.webhooks.one_webhook(
        "wh_1"
    )


def test_remove(openclick: CommandLine, registry: Registry) -> None:
    """It is gone."""
    assert "wh_1 is removed\n" == openclick("webhook", "remove", "wh_1").text
    assert [] == registry.webhooks.many_webhooks()


def test_rotate_secret(openclick: CommandLine, registry: Registry) -> None:
    """The new one is shown this once; a second rotation has to wait."""
    done = openclick("webhook", "rotate-secret", "wh_1", "--json").json
    again = openclick("webhook", "rotate-secret", "wh_1")

    webhook = registry.webhooks.one_webhook("wh_1")
    assert (webhook.secret, SECRET[:12]) == (
        done["signing_secret"],
        done["signing_secret_previous_prefix"],
    )
    assert webhook.previous_secret_expires_at is not None
    assert iso(webhook.previous_secret_expires_at) == done["signing_secret_grace_expires_at"]
    assert (1, True) == (again.status, "can be rotated again then" in again.err)


def test_deliveries(openclick: CommandLine, registry: Registry) -> None:
    """Newest first, with the last answer; one state where that is asked for."""
    assert "No delivery.\n" == openclick("webhook", "deliveries", "wh_1").text
    abandoned, _ = make_deliveries(registry)

    table = openclick("webhook", "deliveries", "wh_1", columns=200).text
    listed = openclick("webhook", "deliveries", "wh_1", "--state", "abandoned", "--json").json

    assert "answered 500: oops" in table
    assert [(abandoned, "abandoned", 100, 1)] == [
        (each["id"], each["state"], each["events"], each["attempts"]) for each in listed
    ]
    assert {
        "started_at": iso(NOW),
        "finished_at": iso(NOW),
        "kind": "list",
        "outcome": "server_error",
        "status_code": 500,
        "error": "answered 500",
        "response_body_preview": "oops",
    } == listed[0]["last_attempt"]


def test_an_attempt_without_an_end(openclick: CommandLine, registry: Registry) -> None:
    """It runs, or the sidecar died: nothing is known of it yet."""
    log_events(registry, range(1, 2))
    go_round(registry, NOW, batch_id)

    (listed,) = openclick("webhook", "deliveries", "wh_1", "--json").json

    assert (None, None) == (listed["last_attempt"]["finished_at"], listed["finished_at"])
    assert "none yet" in openclick("webhook", "deliveries", "wh_1", columns=200).text


def test_retry(openclick: CommandLine, registry: Registry) -> None:
    """One by its id, or all that were abandoned; what is delivered is not sent again."""
    abandoned, done = make_deliveries(registry)

    one = openclick("webhook", "retry", abandoned)
    none = openclick("webhook", "retry", "--abandoned", "wh_1")
    refused = openclick("webhook", "retry", done)

    assert "1 deliveries are tried again\n" == one.text
    assert "0 deliveries are tried again\n" == none.text
    assert (1, True) == (refused.status, "is delivered" in refused.err)
    assert 1 == registry.deliveries.count_by_state()[DeliveryState.PENDING]
    assert 2 == openclick("webhook", "retry").status
    assert 2 == openclick("webhook", "retry", abandoned, "--abandoned", "wh_1").status


def test_replay(openclick: CommandLine, registry: Registry) -> None:
    """From an instant on; what is none is status 2."""
    make_deliveries(registry)

    done = openclick("webhook", "replay", "wh_1", "--since", iso(NOW))
    wrong = openclick("webhook", "replay", "wh_1", "--since", "yesterday")
    openclick("webhook", "update", "wh_1", "--status", "disabled")
    refused = openclick("webhook", "replay", "wh_1", "--since", iso(NOW))

    assert "150 events are sent again\n" == done.text
    assert (2, 1) == (wrong.status, refused.status)
    assert "make it active first" in refused.err
    assert registry.webhooks.one_webhook("wh_1").status is WebhookStatus.DISABLED
