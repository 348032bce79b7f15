"""The API's edge: paths, methods, keys, sizes, ids, and what a client learns of faults."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_twisted

from openclick.api_keys import Permissions
from unit.api_world import ApiWorld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ApiWorld]:
    """Return an API."""
    opened = ApiWorld(tmp_path)
    yield opened
    opened.close()


@pytest_twisted.ensureDeferred
async def test_whoami(world: ApiWorld) -> None:
    """The key that asks, the installation, no limits."""
    reply = await world.ask("GET", "/v1/whoami")

    assert reply.status == 200
    assert reply.json == {
        "team": {"id": "team_openclick", "name": "localhost"},
        "api_key": {"id": "key_ap_secret", "permissions": "full"},
        "limits": None,
    }


@pytest_twisted.ensureDeferred
async def test_every_answer_names_its_request(
    world: ApiWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """And so does the one log line about it; the secret is in none."""
    caplog.set_level("INFO")

    replies = [await world.ask("GET", "/v1/whoami"), await world.ask("GET", "/nothing")]

    ids = [reply.headers["Anypost-Request-Id"] for reply in replies]
    lines = [record.getMessage() for record in caplog.records if "answered" in record.msg]
    assert len(set(ids)) == 2
    assert [line.partition(":")[0] for line in lines] == ids
    assert "method=GET path=/v1/whoami status=200 key=key_ap_secret client=192.168.1.1" in lines[0]
    assert "ap_secret" not in lines[0].replace("key_ap_secret", "")


@pytest_twisted.ensureDeferred
async def test_no_such_path(world: ApiWorld) -> None:
    """404 to everybody, the end of a known path included."""
    for path in ("/", "/v1", "/v2/whoami", "/v1/whoami/", "/v1/email/x", "/v1/whoami%00"):
        reply = await world.ask("GET", path, secret=None)
        assert reply.error == (404, "not_found"), path


@pytest_twisted.ensureDeferred
async def test_no_such_method(world: ApiWorld) -> None:
    """405, and Allow says what there is; a method that nobody knows is no exception."""
    for method, path, allowed in (
        ("POST", "/v1/whoami", "GET, HEAD"),
        ("DELETE", "/v1/email", "POST"),
        ("OPTIONS", "/v1/events", "GET, HEAD"),
        ("BREW", "/v1/events", "GET, HEAD"),
    ):
        reply = await world.ask(method, path)
        assert reply.error == (405, "method_not_allowed")
        assert reply.headers["Allow"] == allowed


@pytest_twisted.ensureDeferred
async def test_head(world: ApiWorld) -> None:
    """As GET, without the body."""
    reply = await world.ask("HEAD", "/v1/whoami")

    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["Content-Length"]) > 0


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("", 200),
        ("*/*", 200),
        ("application/json", 200),
        ("text/html, application/json;q=0.5", 200),
        ("application/*", 200),
        ("text/html", 406),
        ("application/json;q=0, text/html", 406),
        ("application/json; q=0.000", 406),
        ("text/*;q=1", 406),
    ],
)
@pytest_twisted.ensureDeferred
async def test_accept(world: ApiWorld, accept: str, status: int) -> None:
    """406 where the client takes no JSON."""
    reply = await world.ask("GET", "/v1/whoami", Accept=accept)

    assert reply.status == status


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ap_wrong",
        "Basic ap_secret",
        "ap_secret",
        "Bearer ap_secret x",
        "Bearer ap_secret\xff",
        f"Bearer ap_{'x' * 500}",
    ],
)
@pytest_twisted.ensureDeferred
async def test_no_key(world: ApiWorld, authorization: str) -> None:
    """401 with the way to ask, whatever is wrong with it."""
    reply = await world.ask("GET", "/v1/whoami", secret=None, Authorization=authorization)

    assert reply.error == (401, "authentication_error")
    assert reply.headers["WWW-Authenticate"] == "Bearer"


@pytest_twisted.ensureDeferred
async def test_a_revoked_key(world: ApiWorld) -> None:
    """Is as good as none."""
    world.add_key("ap_old")
    with closing(world.store.registry()) as registry:
        registry.api_keys.revoke("key_ap_old", 1)

    reply = await world.ask("GET", "/v1/whoami", secret="ap_old")

    assert reply.error == (401, "authentication_error")


@pytest_twisted.ensureDeferred
async def test_a_send_only_key(world: ApiWorld) -> None:
    """May ask who it is, and may send; all else is 403, whatever the id."""
    world.add_key("ap_send", permissions=Permissions.SEND_ONLY)

    statuses = {
        (route.method, route.path): (
            await world.ask(route.method, route.path.replace("{id}", "x"), {}, secret="ap_send")
        ).status
        for route in world.api.routes
    }

    assert statuses.pop(("GET", "/v1/whoami")) == 200
    assert statuses.pop(("POST", "/v1/email")) == 422
    assert statuses.pop(("POST", "/v1/email/batch")) == 422
    assert set(statuses.values()) == {403}


@pytest_twisted.ensureDeferred
async def test_a_body_too_large(world: ApiWorld) -> None:
    """413 in the flat form; a byte less is read."""
    head = '{"text":"'
    fits = (head + "x" * (5_000_000 - len(head) - 2) + '"}').encode()

    read = await world.ask("POST", "/v1/email", fits)
    refused = await world.ask("POST", "/v1/email", fits + b" ")

    assert read.error == (422, "validation_error")
    assert refused.status == 413
    assert refused.json["error"] == "payload_too_large"
    assert "Anypost-Request-Id" in refused.headers


@pytest_twisted.ensureDeferred
async def test_a_chunked_body_too_large(world: ApiWorld) -> None:
    """Counts by what came, since nobody has announced it."""
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"

    reply = await world.send(
        b"POST /v1/email HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        + 6 * chunk
        + b"0\r\n\r\n"
    )

    assert reply.status == 413


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "x"],
)
@pytest_twisted.ensureDeferred
async def test_any_content_type(world: ApiWorld, content_type: str) -> None:
    """A body is JSON whatever it is called; nothing is made of it as a form."""
    reply = await world.ask("POST", "/v1/email", {"from": 7}, Content_Type=content_type)

    assert reply.error == (422, "validation_error")
    assert "from" in reply.json["error"]["errors"]


@pytest_twisted.ensureDeferred
async def test_a_store_that_cannot_be_used(world: ApiWorld) -> None:
    """503 with Retry-After: clients come again."""
    (world.store.directory / "openclick.db").rename(world.store.directory / "away")

    reply = await world.ask("GET", "/v1/whoami")

    assert reply.error == (503, "internal_error")
    assert reply.headers["Retry-After"] == "5"
    (world.store.directory / "away").rename(world.store.directory / "openclick.db")


@pytest_twisted.ensureDeferred
async def test_a_fault_of_ours(world: ApiWorld, caplog: pytest.LogCaptureFixture) -> None:
    """500 that tells the request id alone; the log has the rest."""
    registry = world.store.registry(owner=True)
    with closing(registry), registry._database.transaction() as connection:
        connection.execute("UPDATE api_keys SET allowed_domains = 'no JSON'")

    reply = await world.ask("GET", "/v1/whoami")

    request_id = reply.headers["Anypost-Request-Id"]
    assert reply.error == (500, "internal_error")
    assert request_id in reply.json["error"]["message"]
    assert "JSON" not in reply.json["error"]["message"]
    assert any(f"{request_id}: internal error" in record.message for record in caplog.records)
