"""/v1/webhooks: creating, changing, rotating, testing, and whose they are."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from openclick.settings import Config, WebhookSettings
from unit.api_world import ApiWorld
from unit.memory_net import until
from unit.samples import a_domain

WANTED = {
    "name": "shop",
    "url": "http://hooks.kontor.example/in",
    "events": ["email.opened", "email.bounced"],
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ApiWorld]:
    """Return an API that lets webhooks have http addresses."""
    opened = ApiWorld(tmp_path, Config(webhooks=WebhookSettings(allow_http=True)))
    with closing(opened.store.registry(owner=True)) as registry:
        registry.domains.add(a_domain())
    yield opened
    opened.close()


async def created(world: ApiWorld, secret: str = "ap_secret", **fields: Any) -> dict[str, Any]:
    """Return a webhook that was added, with its secret."""
    reply = await world.ask("POST", "/v1/webhooks", {**WANTED, **fields}, secret=secret)
    assert reply.status == 201, reply.body
    webhook: dict[str, Any] = reply.json
    return webhook


@pytest_twisted.ensureDeferred
async def test_a_new_webhook(world: ApiWorld) -> None:
    """Its secret is in this answer, and in no other."""
    webhook = await created(world)

    shown = (await world.ask("GET", f"/v1/webhooks/{webhook['id']}")).json
    listed = (await world.ask("GET", "/v1/webhooks")).json

    secret = webhook.pop("signing_secret")
    assert shown == webhook
    assert listed == {"data": [webhook], "has_more": False, "next_cursor": None}
    assert webhook.pop("id").startswith("wh_")
    assert webhook.pop("created_at").endswith("Z")
    assert webhook == {
        **WANTED,
        "domains": [],
        "status": "active",
        "signing_secret_prefix": secret[:12],
        "signing_secret_previous_prefix": None,
        "signing_secret_grace_expires_at": None,
        "last_delivery_at": None,
    }


@pytest_twisted.ensureDeferred
async def test_changing(world: ApiWorld) -> None:
    """All four at once, as the SDKs send them, or one alone."""
    webhook = await created(world)
    path = f"/v1/webhooks/{webhook['id']}"

    whole = await world.ask(
        "PATCH", path, {**WANTED, "name": "new", "events": ["email.clicked"], "status": "disabled"}
    )
    partly = await world.ask("PATCH", path, {"status": "active"})

    assert (whole.json["name"], whole.json["events"]) == ("new", ["email.clicked"])
    assert whole.json["status"] == "disabled"
    assert partly.json == {**whole.json, "status": "active"}
    assert "signing_secret" not in partly.json


@pytest_twisted.ensureDeferred
async def test_rotating(world: ApiWorld) -> None:
    """A new secret; the old one is named as long as it signs, and there is no second rotation."""
    webhook = await created(world)
    path = f"/v1/webhooks/{webhook['id']}/rotate-secret"

    rotated = await world.ask("POST", path)
    again = await world.ask("POST", path)

    assert rotated.status == 200
    assert rotated.json["signing_secret"] != webhook["signing_secret"]
    assert rotated.json["signing_secret_prefix"] == rotated.json["signing_secret"][:12]
    assert rotated.json["signing_secret_previous_prefix"] == webhook["signing_secret_prefix"]
    assert rotated.json["signing_secret_grace_expires_at"] is not None
    assert again.error == (409, "webhook_rotation_in_progress")


@pytest_twisted.ensureDeferred
async def test_a_test_delivery(world: ApiWorld) -> None:
    """One webhook.test event, signed; the answer is 200 whatever the receiver says."""
    webhook = await created(world)
    path = f"/v1/webhooks/{webhook['id']}/test"
    asking = Deferred.fromCoroutine(world.ask("POST", path))
    dialled = await world.net.take()
    await until(lambda: dialled.received.endswith(b"]}"))

    dialled.answer(b"HTTP/1.1 500 Broken\r\nContent-Length: 4\r\n\r\noops")
    reply = await asking

    event = json.loads(dialled.received.partition(b"\r\n\r\n")[2])["events"][0]
    latency = reply.json.pop("latency_ms")
    assert event["type"] == "webhook.test"
    assert b"anypost-signature: t=" in dialled.received.lower()
    assert reply.status == 200
    assert isinstance(latency, int)
    assert reply.json["delivered"] is False
    assert reply.json["status_code"] == 500
    assert reply.json["response_body_preview"] == "oops"


@pytest_twisted.ensureDeferred
async def test_removing(world: ApiWorld) -> None:
    """204, and 404 from then on."""
    path = f"/v1/webhooks/{(await created(world))['id']}"

    removed = await world.ask("DELETE", path)
    again = await world.ask("GET", path)

    assert (removed.status, removed.body) == (204, b"")
    assert again.error == (404, "not_found")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": None}, "name"),
        ({"name": "a\r\nb"}, "name"),
        ({"url": "ftp://hooks.example/"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://user@hooks.example/"}, "url"),
        ({"url": "https://hooks.example/a b"}, "url"),
        ({"url": "https://hooks.example/\r\nX: y"}, "url"),
        ({"url": "https://[::1"}, "url"),
        ({"url": 7}, "url"),
        ({"events": []}, "events"),
        ({"events": "email.opened"}, "events"),
        ({"events": ["email.read"]}, "events"),
        ({"events": [7]}, "events.0"),
        ({"domains": ["no domain"]}, "domains"),
        ({"secret": "mine"}, "secret"),
        ({"status": "active"}, "status"),
    ],
    ids=str,
)
@pytest_twisted.ensureDeferred
async def test_bad_webhooks(world: ApiWorld, fields: Any, field: str) -> None:
    """422, by the field; none is made."""
    reply = await world.ask("POST", "/v1/webhooks", {**WANTED, **fields})

    assert reply.error == (422, "validation_error")
    assert field in reply.json["error"]["errors"]
    assert (await world.ask("GET", "/v1/webhooks")).json["data"] == []


@pytest.mark.parametrize("status", ["circuit_disabled", "on", 1])
@pytest_twisted.ensureDeferred
async def test_bad_statuses(world: ApiWorld, status: Any) -> None:
    """What the server alone sets, and what there is not."""
    webhook = await created(world)

    reply = await world.ask("PATCH", f"/v1/webhooks/{webhook['id']}", {"status": status})

    assert reply.error == (422, "validation_error")
    assert list(reply.json["error"]["errors"]) == ["status"]


@pytest_twisted.ensureDeferred
async def test_a_limited_key(world: ApiWorld) -> None:
    """Makes webhooks for its domains alone, and sees no others: they would bring it more."""
    theirs = await created(world)
    world.add_key("ap_kontor", allowed_domains=("kontor.example",))

    mine = await created(world, secret="ap_kontor")
    wider = await world.ask(
        "PATCH", f"/v1/webhooks/{mine['id']}", {"domains": []}, secret="ap_kontor"
    )
    foreign = await world.ask(
        "POST", "/v1/webhooks", {**WANTED, "domains": ["laden.example"]}, secret="ap_kontor"
    )
    statuses = [
        (
            await world.ask(method, f"/v1/webhooks/{theirs['id']}{path}", {}, secret="ap_kontor")
        ).status
        for method, path in (
            *(("GET", ""), ("PATCH", ""), ("DELETE", "")),
            *(("POST", "/test"), ("POST", "/rotate-secret")),
        )
    ]
    listed = (await world.ask("GET", "/v1/webhooks", secret="ap_kontor")).json["data"]

    assert mine["domains"] == ["kontor.example"]
    assert wider.error == foreign.error == (422, "validation_error")
    assert set(statuses) == {404}
    assert [webhook["id"] for webhook in listed] == [mine["id"]]
