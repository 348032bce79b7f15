"""What may be done with webhooks, and the stable code of each refusal."""

import os
from collections.abc import Callable

import pytest

from openclick.instants import SECOND
from openclick.option_kinds import NETWORK_LIST
from openclick.store import Registry
from openclick.webhook_actions import (
    WebhookChange,
    add_webhook,
    many_deliveries,
    one_webhook,
    remove_webhook,
    replay_events,
    retry_abandoned,
    retry_delivery,
    rotate_secret,
    update_webhook,
)
from openclick.webhook_rules import UrlRules, WebhookError, checked_url
from openclick.webhooks import GRACE_SECONDS, Claim, DeliveryState, Webhook, WebhookStatus
from unit.delivery_steps import delivered, failed, go_round
from unit.samples import NOW, a_webhook, log_events
from unit.spellings import FORBIDDEN_HOSTS

STRICT = UrlRules(allow_http=False, allow_private_networks=())
URL = "https://hooks.kontor.example/in"
DAY = GRACE_SECONDS * SECOND


def batch_id() -> str:
    """Return another batch id each time."""
    return os.urandom(16).hex()


def claims(registry: Registry, count: int = 1, now: int = NOW) -> tuple[Claim, ...]:
    """Make events of so many batches for the webhook wh_1, and claim them."""
    log_events(registry, range(1, 100 * count + 1))
    return go_round(registry, now, batch_id).claims


def code_of(call: Callable[[], object]) -> str:
    """Return the code with which a call is refused."""
    with pytest.raises(WebhookError) as refused:
        call()
    return refused.value.code


def add(registry: Registry, url: str = URL, **fields: object) -> Webhook:
    """Add a webhook by the strict rules."""
    events = ("email.opened", "email.clicked")
    options: dict[str, object] = {"events": events, **fields}
    return add_webhook(registry, STRICT, NOW, os.urandom, url=url, **options)  # type: ignore[arg-type]


# --- adding and changing


def test_adding(registry: Registry) -> None:
    """Active from now on, with a secret that ready-made verifiers take."""
    webhook = add(registry)

    assert webhook == one_webhook(registry, webhook.webhook_id)
    assert ("hooks.kontor.example", URL, WebhookStatus.ACTIVE) == (
        webhook.name,
        webhook.url,
        webhook.status,
    )
    assert (38, 39) == (len(webhook.secret), len(webhook.webhook_id))


@pytest.mark.parametrize("host", FORBIDDEN_HOSTS)
def test_a_forbidden_address_is_refused_at_once(host: str) -> None:
    """The check that counts is made when it is dialled; this one tells the admin early."""
    assert "invalid_url" == code_of(lambda: checked_url(f"https://{host}/", STRICT))


def test_a_network_of_ones_own(registry: Registry) -> None:
    """Named in the settings, it may be added."""
    rules = UrlRules(True, NETWORK_LIST.parse(["10.1.2.0/24", "fd00:1::/32"]))

    assert "http://10.1.2.3:8080/in" == checked_url("http://10.1.2.3:8080/in", rules)
    assert "https://[fd00:1::5]/in" == checked_url("https://[FD00:1:0::5]/in", rules)
    assert "invalid_url" == code_of(lambda: checked_url("https://10.1.3.3/in", rules))


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://Hooks.Kontor.Example/In?A=b", "https://hooks.kontor.example/In?A=b"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://a.example:8443/x#part", "https://a.example:8443/x"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
    ],
)
def test_a_url_has_one_spelling(url: str, kept: str) -> None:
    """Host in lower case and as A-labels; no fragment."""
    assert kept == checked_url(url, STRICT)


@pytest.mark.parametrize(
    "url",
    [
        *("", "hooks", "ftp://a.example/", "http://a.example/", "https:///in", "https://"),
        *("https://user@a.example/", "https://a.example:0x50/", "https://a.example:99999/"),
        *("https://a.example/ b", "https://a.example/\n", "https://a.example/\x7f"),
        *("https://a.example/é", "https://a.example/<>", "https://a b.example/"),
        *(
            "https://１２７.0.0.1/",
            "https://127。0。0。1/",
            "https://[::1",
            "https://a\\b.example/",
        ),
        "https://a.example/" + "x" * 2000,
    ],
)
def test_what_cannot_be_posted_to(registry: Registry, url: str) -> None:
    """Refused, and nothing is added."""
    assert "invalid_url" == code_of(lambda: add(registry, url))
    assert [] == registry.webhooks.many_webhooks()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": "x" * 201}, "invalid_name"),
        ({"name": "a\nb"}, "invalid_name"),
        ({"events": ()}, "invalid_events"),
        ({"events": ("email.read",)}, "invalid_events"),
        ({"domains": ("a b",)}, "invalid_domains"),
    ],
)
def test_other_rules(registry: Registry, fields: dict[str, object], code: str) -> None:
    """Each has its code."""
    assert code == code_of(lambda: add(registry, **fields))


def test_updating(registry: Registry) -> None:
    """What is not named stays; each value is checked as when it is added."""
    registry.webhooks.add(a_webhook())

    changed = update_webhook(
        registry, STRICT, NOW, "wh_1", WebhookChange(name="other", domains=("A.example",))
    )

    assert a_webhook(name="other", domains=("a.example",)) == changed
    for change, code in (
        (WebhookChange(url="http://a.example/"), "invalid_url"),
        (WebhookChange(events=("x",)), "invalid_events"),
        (WebhookChange(status="circuit_disabled"), "invalid_status"),
    ):
        refused = change
        assert code == code_of(lambda c=refused: update_webhook(registry, STRICT, NOW, "wh_1", c))
    assert changed == one_webhook(registry, "wh_1")


def test_disabling_abandons_and_skips(registry: Registry) -> None:
    """And what was under way may still turn out delivered."""
    registry.webhooks.add(a_webhook())
    first, second = claims(registry, 2)
    update_webhook(registry, STRICT, NOW, "wh_1", WebhookChange(status="disabled"))
    log_events(registry, range(1001, 1101))

    go_round(registry, NOW, batch_id, [delivered(first), failed(second, NOW)])
    update_webhook(registry, STRICT, NOW, "wh_1", WebhookChange(status="active"))

    states = {r.delivery.delivery_id: r.delivery.state for r in many_deliveries(registry, "wh_1")}
    assert {1: DeliveryState.DELIVERED, 2: DeliveryState.ABANDONED} == states
    assert () == go_round(registry, NOW, batch_id).claims


def test_removing(registry: Registry) -> None:
    """With its deliveries; the second time there is none."""
    registry.webhooks.add(a_webhook())
    claims(registry)

    remove_webhook(registry, "wh_1")

    assert "webhook_not_found" == code_of(lambda: remove_webhook(registry, "wh_1"))
    assert 0 == sum(registry.deliveries.count_by_state().values())


@pytest.mark.parametrize(
    "call",
    [
        lambda r: one_webhook(r, "wh_9"),
        lambda r: update_webhook(r, STRICT, NOW, "wh_9", WebhookChange()),
        lambda r: rotate_secret(r, NOW, os.urandom, "wh_9"),
        lambda r: many_deliveries(r, "wh_9"),
        lambda r: retry_abandoned(r, NOW, "wh_9"),
        lambda r: replay_events(r, "wh_9", NOW),
    ],
)
def test_an_unknown_webhook(registry: Registry, call: Callable[[Registry], object]) -> None:
    """The same code, whatever was asked for."""
    assert "webhook_not_found" == code_of(lambda: call(registry))


# --- secrets


def test_rotation(registry: Registry) -> None:
    """The old secret signs for 24 hours beside the new one; then it is gone."""
    registry.webhooks.add(a_webhook())
    old = one_webhook(registry, "wh_1").secret

    rotated = rotate_secret(registry, NOW, os.urandom, "wh_1")

    assert (rotated.secret, old) == rotated.live_secrets(NOW + DAY - 1)
    assert (rotated.secret,) == rotated.live_secrets(NOW + DAY)
    assert old != rotated.secret


def test_a_second_rotation_waits_for_the_first(registry: Registry) -> None:
    """A receiver would lose the secret that it still holds."""
    registry.webhooks.add(a_webhook())
    first = rotate_secret(registry, NOW, os.urandom, "wh_1")

    early = code_of(lambda: rotate_secret(registry, NOW + DAY - 1, os.urandom, "wh_1"))
    second = rotate_secret(registry, NOW + DAY, os.urandom, "wh_1")

    assert "webhook_rotation_in_progress" == early
    assert (second.secret, first.secret) == second.live_secrets(NOW + DAY)


# --- deliveries


def test_deliveries_are_listed_with_their_last_answer(registry: Registry) -> None:
    """Newest first; one state alone, or a page, where that is asked for."""
    registry.webhooks.add(a_webhook())
    first, second, _ = claims(registry, 3)
    given_up = failed(first, NOW, state=DeliveryState.ABANDONED)
    go_round(registry, NOW, batch_id, [given_up, delivered(second)])

    listed = many_deliveries(registry, "wh_1")
    (abandoned,) = many_deliveries(registry, "wh_1", DeliveryState.ABANDONED)
    page = many_deliveries(registry, "wh_1", limit=1, before=3)

    assert [3, 2, 1] == [report.delivery.delivery_id for report in listed]
    assert [None, 204, 500] == [
        report.last_attempt.status_code if report.last_attempt else None for report in listed
    ]
    assert listed[2] == abandoned
    assert abandoned.last_attempt is not None
    assert (100, "answered 500", "oops") == (
        abandoned.event_count,
        abandoned.last_attempt.error,
        abandoned.last_attempt.excerpt,
    )
    assert [listed[1]] == page


def test_an_abandoned_delivery_is_retried_from_the_beginning(registry: Registry) -> None:
    """Its batch id and events stay, its list begins anew."""
    registry.webhooks.add(a_webhook())
    (claim,) = claims(registry)
    go_round(registry, NOW, batch_id, [failed(claim, NOW, state=DeliveryState.ABANDONED)])

    assert 1 == retry_abandoned(registry, NOW + 5, "wh_1")

    (again,) = go_round(registry, NOW + 5, batch_id).claims
    assert (claim.delivery.batch_id, claim.bodies) == (again.delivery.batch_id, again.bodies)
    assert (2, 0, 0.0) == (again.number, again.delivery.place, again.delivery.waited_seconds)


def test_a_pending_delivery_is_retried_now(registry: Registry) -> None:
    """Before its time; not while it is under way, and not once it is delivered."""
    registry.webhooks.add(a_webhook())
    (claim,) = claims(registry)
    name = claim.delivery.batch_id
    under_way = code_of(lambda: retry_delivery(registry, NOW, name))
    go_round(registry, NOW, batch_id, [failed(claim, NOW + DAY)])

    retry_delivery(registry, NOW + 1, name)

    (again,) = go_round(registry, NOW + 1, batch_id).claims
    go_round(registry, NOW + 1, batch_id, [delivered(again)])
    assert "delivery_under_way" == under_way
    assert "delivery_delivered" == code_of(lambda: retry_delivery(registry, NOW, name))
    assert "delivery_not_found" == code_of(lambda: retry_delivery(registry, NOW, "0" * 32))


def test_a_replay_sends_events_again(registry: Registry) -> None:
    """From any instant on, with the ids that they had, in new batches."""
    registry.webhooks.add(a_webhook())
    (claim,) = claims(registry)
    go_round(registry, NOW, batch_id, [delivered(claim)])

    count = replay_events(registry, "wh_1", NOW + 41)

    (again,) = go_round(registry, NOW, batch_id).claims
    assert 60 == count == len(again.bodies)
    assert claim.bodies[40:] == again.bodies
    assert claim.delivery.batch_id != again.delivery.batch_id


def test_a_replay_of_what_is_not_read_yet(registry: Registry) -> None:
    """Changes nothing: it comes anyway."""
    registry.webhooks.add(a_webhook())
    log_events(registry, range(1, 11))

    assert 0 == replay_events(registry, "wh_1", NOW)
    assert 10 == len(go_round(registry, NOW, batch_id).claims[0].bodies)
    assert 0 == replay_events(registry, "wh_1", NOW + DAY)


def test_a_replay_keeps_to_what_a_webhook_is_for(registry: Registry) -> None:
    """Only its events and its domains are counted and sent."""
    registry.webhooks.add(a_webhook(domains=("other.example",)))
    claims(registry)

    assert 0 == replay_events(registry, "wh_1", NOW)
    assert () == go_round(registry, NOW, batch_id).claims


def test_nothing_is_sent_to_a_disabled_webhook(registry: Registry) -> None:
    """Neither by a retry nor by a replay; the admin makes it active first."""
    registry.webhooks.add(a_webhook())
    (claim,) = claims(registry)
    update_webhook(registry, STRICT, NOW, "wh_1", WebhookChange(status="disabled"))

    for call in (
        lambda: retry_delivery(registry, NOW, claim.delivery.batch_id),
        lambda: retry_abandoned(registry, NOW, "wh_1"),
        lambda: replay_events(registry, "wh_1", NOW),
    ):
        assert "webhook_disabled" == code_of(call)
