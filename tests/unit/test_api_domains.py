"""/v1/domains: creating, changing, removing, and whose they are."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from openclick.domains import SendingDomain, VerificationFailure
from openclick.keys import KeyFault
from openclick.settings import Config, SidecarSettings
from openclick_sidecar.api.domains import apex
from unit.api_world import ApiWorld
from unit.samples import NOW

HOST = "mail.openclick.example"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ApiWorld]:
    """Return an API without a domain."""
    opened = ApiWorld(tmp_path, Config(sidecar=SidecarSettings(public_hostname=HOST)))
    yield opened
    opened.close()


async def created(world: ApiWorld, name: str = "kontor.example") -> dict[str, Any]:
    """Return a domain that was added."""
    reply = await world.ask("POST", "/v1/domains", {"name": name})
    assert reply.status == 201
    domain: dict[str, Any] = reply.json
    return domain


async def tracking(world: ApiWorld, domain_id: str, **changes: Any) -> dict[str, Any]:
    """Change the tracking of a domain, and return it."""
    reply = await world.ask("PATCH", f"/v1/domains/{domain_id}", {"tracking": changes})
    assert reply.status == 200
    found: dict[str, Any] = reply.json["tracking"]
    return found


@pytest_twisted.ensureDeferred
async def test_a_new_domain(world: ApiWorld) -> None:
    """Verified at once, since sending is Postfix's business; tracking is off."""
    domain = await created(world, "Bücher.example")

    shown = await world.ask("GET", f"/v1/domains/{domain['id']}")

    assert shown.json == domain
    assert domain.pop("id").startswith("domain_")
    assert domain.pop("created_at") == domain.pop("verified_at")
    assert domain == {
        "name": "xn--bcher-kva.example",
        "status": "verified",
        "dns_records": [],
        "verification_failure": None,
        "tracking": {
            "opens_enabled": False,
            "clicks_enabled": False,
            "subdomain": None,
            "dns_records": [],
            "status": "disabled",
            "verification_failure": None,
            "verified_at": None,
        },
    }


@pytest_twisted.ensureDeferred
async def test_tracking_is_changed_key_by_key(world: ApiWorld) -> None:
    """What is not named stays; what is on needs a subdomain, whose record is told."""
    domain_id = (await created(world, "news.kontor.example"))["id"]

    on = await tracking(world, domain_id, opens_enabled=True, subdomain="track")
    both = await tracking(world, domain_id, clicks_enabled=True)
    off = await tracking(world, domain_id, opens_enabled=False, clicks_enabled=False)
    none = await tracking(world, domain_id, subdomain=None)

    assert (on["opens_enabled"], on["clicks_enabled"], on["status"]) == (True, False, "pending")
    assert on["dns_records"] == [
        {"type": "CNAME", "name": "track.news", "value": HOST, "purpose": "tracking"}
    ]
    assert (both["opens_enabled"], both["clicks_enabled"]) == (True, True)
    assert (off["status"], off["subdomain"], off["dns_records"]) == ("disabled", "track", [])
    assert none["subdomain"] is None


@pytest_twisted.ensureDeferred
async def test_another_subdomain_is_not_verified(world: ApiWorld) -> None:
    """It is another tracking domain, of which nothing is known yet."""
    domain_id = (await created(world))["id"]
    await tracking(world, domain_id, opens_enabled=True, subdomain="track")
    with closing(world.store.registry()) as registry:
        registry.domains.record_verified("kontor.example", NOW)

    same = await tracking(world, domain_id, subdomain="track")
    other = await tracking(world, domain_id, subdomain="go")

    assert (same["status"], same["verified_at"]) == ("verified", "2025-11-23T22:40:00.123Z")
    assert (other["status"], other["verified_at"]) == ("pending", None)


@pytest_twisted.ensureDeferred
async def test_a_failed_check_is_told(world: ApiWorld) -> None:
    """With its code and its sentence; the domain's own status is not touched by it."""
    domain_id = (await created(world))["id"]
    await tracking(world, domain_id, opens_enabled=True, subdomain="track")
    failure = VerificationFailure("no_record", "track.kontor.example has no CNAME")
    with closing(world.store.registry()) as registry:
        registry.domains.record_failure("kontor.example", NOW, failure, keep_state=False)

    reply = await world.ask("GET", f"/v1/domains/{domain_id}")

    assert reply.json["tracking"]["verification_failure"] == vars(failure)
    assert (reply.json["status"], reply.json["verification_failure"]) == ("verified", None)


@pytest_twisted.ensureDeferred
async def test_removing(world: ApiWorld) -> None:
    """204, and 404 from then on."""
    domain_id = (await created(world))["id"]

    removed = await world.ask("DELETE", f"/v1/domains/{domain_id}")
    again = await world.ask("DELETE", f"/v1/domains/{domain_id}")

    assert (removed.status, removed.body) == (204, b"")
    assert "Content-Type" not in removed.headers
    assert again.error == (404, "not_found")


@pytest_twisted.ensureDeferred
async def test_a_domain_that_is_there(world: ApiWorld) -> None:
    """409, in whatever spelling."""
    await created(world)

    reply = await world.ask("POST", "/v1/domains", {"name": "KONTOR.example."})

    assert reply.error == (409, "conflict")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": 7}, "name"),
        ({"name": ""}, "name"),
        ({"name": "no domain"}, "name"),
        ({"name": "localhost"}, "name"),
        ({"name": "kontor.example\r\nX: y"}, "name"),
        ({"name": "\ud800.example"}, "name"),
        ({"name": "kontor.example", "region": "eu"}, "region"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_bad_names(world: ApiWorld, body: Any, field: str) -> None:
    """422, by the field."""
    reply = await world.ask("POST", "/v1/domains", body)

    assert reply.error == (422, "validation_error")
    assert list(reply.json["error"]["errors"]) == [field]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "tracking"),
        ({"tracking": None}, "tracking"),
        ({"tracking": []}, "tracking"),
        ({"tracking": {"opens_enabled": True}}, "tracking.subdomain"),
        ({"tracking": {"opens_enabled": 1, "subdomain": "t"}}, "tracking.opens_enabled"),
        ({"tracking": {"opens": True}}, "tracking.opens"),
        ({"tracking": {"subdomain": "a b"}}, "tracking.subdomain"),
        ({"tracking": {"subdomain": ""}}, "tracking.subdomain"),
        ({"tracking": {"subdomain": 7}}, "tracking.subdomain"),
        ({"tracking": {}, "name": "other.example"}, "name"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_bad_changes(world: ApiWorld, body: Any, field: str) -> None:
    """422, by the field; nothing is changed."""
    domain = await created(world)

    reply = await world.ask("PATCH", f"/v1/domains/{domain['id']}", body)

    assert reply.error == (422, "validation_error")
    assert list(reply.json["error"]["errors"]) == [field]
    assert (await world.ask("GET", f"/v1/domains/{domain['id']}")).json == domain


@pytest_twisted.ensureDeferred
async def test_pages(world: ApiWorld) -> None:
    """Newest first, each domain once."""
    names = [f"d{number}.example" for number in range(5)]
    for name in names:
        await created(world, name)

    first = (await world.ask("GET", "/v1/domains?limit=3")).json
    second = (await world.ask("GET", f"/v1/domains?limit=3&after={first['next_cursor']}")).json

    assert [len(first["data"]), first["has_more"], second["has_more"]] == [3, True, False]
    assert sorted(d["name"] for d in first["data"] + second["data"]) == names


@pytest_twisted.ensureDeferred
async def test_a_check_without_link_keys(world: ApiWorld) -> None:
    """The challenge needs them: 503 with Retry-After, as for a store that cannot be used."""

    async def check(domain: SendingDomain) -> SendingDomain | None:
        raise KeyFault("/keys: holds no key")

    world.check = check
    domain = await created(world)
    await tracking(world, domain["id"], opens_enabled=True, subdomain="track")

    reply = await world.ask("POST", f"/v1/domains/{domain['id']}/verify")

    assert reply.error == (503, "internal_error")
    assert int(reply.headers["Retry-After"]) > 0


@pytest_twisted.ensureDeferred
async def test_verify_without_tracking(world: ApiWorld) -> None:
    """There is no CNAME to look for, so none fails; `verify` is for the sending domain then."""
    domain = await created(world)

    async def check(_domain: SendingDomain) -> SendingDomain | None:
        raise AssertionError("nothing is to be checked")

    world.check = check

    reply = await world.ask("POST", f"/v1/domains/{domain['id']}/verify")

    assert (200, domain) == (reply.status, reply.json)


@pytest_twisted.ensureDeferred
async def test_other_peoples_ids(world: ApiWorld) -> None:
    """404 for a key that is limited to others, and for what is no id; 403 to add one."""
    domain = await created(world)
    mine = await created(world, "laden.example")
    world.add_key("ap_laden", allowed_domains=("laden.example",))

    statuses = [
        (await world.ask(method, f"/v1/domains/{path}", body, secret="ap_laden")).status
        for path in (domain["id"], domain["name"], "domain_1", "%00", "a%2Fb")
        for method, body in (("GET", None), ("PATCH", {"tracking": {}}), ("DELETE", None))
    ]
    verify = await world.ask("POST", f"/v1/domains/{domain['id']}/verify", secret="ap_laden")
    listed = await world.ask("GET", "/v1/domains", secret="ap_laden")
    added = await world.ask("POST", "/v1/domains", {"name": "x.example"}, secret="ap_laden")

    assert set(statuses) == {404}
    assert verify.error == (404, "not_found")
    assert listed.json["data"] == [mine]
    assert added.error == (403, "permission_error")


@pytest.mark.parametrize(
    ("name", "registered"),
    [
        ("kontor.example", "kontor.example"),
        ("news.kontor.example", "kontor.example"),
        ("kontor.co.uk", "kontor.co.uk"),
        ("a.news.kontor.com.au", "kontor.com.au"),
        ("co.uk", "co.uk"),
        ("shop.kontor.de", "kontor.de"),
    ],
)
def test_the_registered_name(name: str, registered: str) -> None:
    """What provider UIs add to a record's name by themselves."""
    assert apex(name) == registered
