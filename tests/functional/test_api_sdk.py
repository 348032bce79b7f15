"""Anypost's own client, unmodified, against the private Postfix: only the base URL is ours."""

from collections.abc import Iterator
from typing import Any

import anypost
import pytest

from support.deployment import (
    BROWSER,
    DOMAIN,
    PUBLIC_HOSTNAME,
    Deployment,
    as_submitted,
    delivered,
    signed_events,
)
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.http_client import fetch
from support.processes import LOOPBACK, wait_until
from support.reading import fields_of, html_of, open_images, text_of, tracking_links
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

HTML = '<html><body><p>Jackets: <a href="https://shop.kontor.example/jackets">see</a></p></body>'
EMAIL: dict[str, Any] = {
    "from": f"Kontor Nord <news@{DOMAIN}>",
    "to": ["Anna Berg <anna@reader.example>"],
    "subject": "Grüße aus dem Kontor",
    "text": "Jackets",
    "html": HTML,
}


def client_of(deployment: Deployment, *options: str) -> anypost.Anypost:
    """Return a client with a key of its own; it repeats nothing."""
    made = deployment.installation.openclick_json("apikey", "create", "sdk", *options)
    return anypost.Anypost(made["secret"], base_url=base_url(deployment), max_retries=0)


def base_url(deployment: Deployment) -> str:
    """Return all that an app has to change."""
    return f"http://{LOOPBACK}:{deployment.installation.api_port}/v1"


@pytest.fixture
def client(deployment: Deployment) -> Iterator[anypost.Anypost]:
    """Return a client that may do everything."""
    with client_of(deployment) as opened:
        yield opened


def arrived(sink: SmtpSink, email_id: str) -> bytes:
    """Wait for a mail that was sent through the API, and return it."""
    return delivered(sink, f"Message-ID: {message_id(email_id)}\r\n".encode())


def message_id(email_id: str) -> str:
    """Return the Message-ID of a mail that was sent through the API."""
    return f"<{email_id.removeprefix('email_')}@{DOMAIN}>"


def test_whoami(client: anypost.Anypost) -> None:
    """The installation is the team; there are no limits."""
    who = client.whoami()

    assert who["team"] == {"id": "team_openclick", "name": PUBLIC_HOSTNAME}
    assert who["api_key"]["permissions"] == "full"
    assert who["limits"] is None


def test_a_mail_is_tracked_from_the_client_to_the_event(
    client: anypost.Anypost, deployment: Deployment, sink: SmtpSink, receiver: WebhookReceiver
) -> None:
    """The id of the answer is the id of the event; no control header leaves the house."""
    sent = client.email.send(
        {
            **EMAIL,
            "bcc": ["archive@reader.example"],
            "tags": ["autumn", "boots"],
            "topic": "news.weekly",
            "campaign": "Nov-2026",
            "headers": {"X-Order": "17", "X-OpenClick-Id": "email_forged"},
            "attachments": [{"filename": "Liste.txt", "content": b"boots\n"}],
        }
    )

    mail = arrived(sink, sent["id"])
    [image], [link] = open_images(mail), tracking_links(mail)
    fetch(image, deployment.peer, {"User-Agent": BROWSER})
    clicked = fetch(link, deployment.peer, {"User-Agent": BROWSER})
    events = signed_events(receiver, deployment.secret, message_id(sent["id"]), 2)

    names = [name.lower() for name, _ in fields_of(mail)]
    assert clicked.header("location") == "https://shop.kontor.example/jackets"
    assert text_of(mail).strip() == "Jackets"
    assert not [name for name in names if name.startswith(("x-anypost", "x-openclick", "bcc"))]
    assert b"archive" not in as_submitted(mail)
    for event in events:
        data = event["data"]
        assert data["email_id"] == sent["id"]
        assert (data["tags"], data["topic"]) == (["autumn", "boots"], "news.weekly")
        assert (data["campaign"], data["headers"]) == ("Nov-2026", {"x_order": "17"})
        assert data["recipients"] == ["anna@reader.example", "archive@reader.example"]
        assert data["subject"] == "Grüße aus dem Kontor"


def test_tracking_off_for_one_message(client: anypost.Anypost, sink: SmtpSink) -> None:
    """`opens: false` wins over the domain's default; clicks, which it leaves out, do not change."""
    sent = client.email.send({**EMAIL, "tracking": {"opens": False}})
    neither = client.email.send({**EMAIL, "tracking": {"opens": False, "clicks": False}})

    mail, other = arrived(sink, sent["id"]), arrived(sink, neither["id"])

    assert (open_images(mail), len(tracking_links(mail))) == ([], 1)
    assert html_of(other).strip() == HTML


def test_a_batch_with_defaults_and_mixed_outcomes(client: anypost.Anypost, sink: SmtpSink) -> None:
    """Each entry has its outcome; a tracking object of its own replaces the default's whole."""
    own = {"to": ["bert@reader.example"], "tracking": {"clicks": True}, "tags": ["own", "both"]}
    result = client.email.send_batch(
        {
            "defaults": {
                **{name: value for name, value in EMAIL.items() if name != "to"},
                "tracking": {"opens": False, "clicks": False},
                "tags": ["both"],
            },
            "emails": [
                {"to": ["anna@reader.example"]},
                own,
                {"to": ["not an address"]},
                {"to": ["cleo@reader.example"], "from": "news@elsewhere.example"},
            ],
        }
    )

    mails = [arrived(sink, entry["id"]) for entry in result["data"][:2]]

    assert result["summary"] == {"total": 4, "queued": 2, "failed": 2}
    assert [entry["index"] for entry in result["data"]] == [0, 1, 2, 3]
    assert [entry["error"]["type"] for entry in result["data"][2:]] == [
        *("validation_error", "permission_error"),
    ]
    assert [len(open_images(mail)) for mail in mails] == [0, 1]
    assert [len(tracking_links(mail)) for mail in mails] == [0, 1]


def test_domains(client: anypost.Anypost, dns_server: DnsServer) -> None:
    """Created, changed, verified for real, listed, removed."""
    created = client.domains.create({"name": "sdk.example"})
    changed = client.domains.update(
        created["id"], {"tracking": {"opens_enabled": True, "subdomain": "go"}}
    )
    pending = client.domains.verify(created["id"])
    [record] = changed["tracking"]["dns_records"]
    dns_server.set(PUBLIC_HOSTNAME, "A", LOOPBACK)
    dns_server.set(f"{record['name']}.sdk.example", record["type"], f"{record['value']}.")

    verified = client.domains.verify(created["id"])
    listed = [domain["id"] for domain in client.domains.list({"limit": 1})]
    client.domains.delete(created["id"])

    assert pending["tracking"]["status"] == "pending"
    assert pending["tracking"]["verification_failure"]["code"] in ("name_not_found", "no_record")
    assert verified["tracking"]["status"] == "verified"
    assert verified["tracking"]["verified_at"] is not None
    assert created["id"] in listed
    assert len(set(listed)) == len(listed) > 2
    with pytest.raises(anypost.NotFoundError):
        client.domains.get(created["id"])


def test_webhooks(client: anypost.Anypost, receiver: WebhookReceiver) -> None:
    """Created, tested, changed, rotated; the client's own verifier takes what is posted."""
    url = f"http://{LOOPBACK}:{receiver.port}/sdk"
    events: list[Any] = ["email.opened", "email.clicked", "email.bounced"]

    created = client.webhooks.create({"name": "sdk", "url": url, "events": events})
    result = client.webhooks.test(created["id"])
    post = next(post for post in receiver.wait_for(1) if post.path == "/sdk")
    changed = client.webhooks.update(
        created["id"], {"name": "sdk", "url": url, "events": events, "status": "disabled"}
    )
    rotated = client.webhooks.rotate_secret(created["id"])
    with pytest.raises(anypost.ConflictError) as again:
        client.webhooks.rotate_secret(created["id"])
    client.webhooks.delete(created["id"])

    assert result["delivered"]
    assert result["status_code"] == 200
    assert changed["status"] == "disabled"
    assert rotated["signing_secret"] != created["signing_secret"]
    assert again.value.type == "webhook_rotation_in_progress"
    delivery = anypost.unwrap_webhook_event(
        post.body, post.headers["anypost-signature"], created["signing_secret"]
    )
    assert delivery["events"][0]["type"] == "webhook.test"
    assert created["id"] not in [webhook["id"] for webhook in client.webhooks.list()]


def test_events_page_by_page(
    client: anypost.Anypost, deployment: Deployment, sink: SmtpSink
) -> None:
    """Every event of a message once, by its id and by its tags; each page asks again."""
    sent = client.email.send({**EMAIL, "tags": ["paging"]})
    mail = arrived(sink, sent["id"])
    [image], [link] = open_images(mail), tracking_links(mail)
    for url in [image] * 4 + [link] * 3:
        fetch(url, deployment.peer, {"User-Agent": BROWSER})

    wait_until(
        lambda: len(client.events.list({"email_id": sent["id"]}).data) == 7, 20, "seven events"
    )
    page = client.events.list({"email_id": sent["id"], "limit": 3})
    by_id = [event["id"] for event in page]
    by_tag = [event["id"] for event in client.events.list({"tags": ["paging", "x"], "limit": 2})]
    clicks = client.events.list({"tags": ["paging"], "event_type": "email.clicked"}).data

    assert page.has_more
    assert len(set(by_id)) == len(by_id) == 7
    assert by_tag == by_id
    assert len(clicks) == 3
    assert clicks[0]["recipient"] == "anna@reader.example"
    assert clicks[0]["from_domain"] == DOMAIN
    assert clicks[0]["tracking"] is None


def test_errors_that_a_request_earns(client: anypost.Anypost, deployment: Deployment) -> None:
    """The client's own exceptions, with the request's id."""
    idempotency_key = "sdk-mismatch"
    client.email.send(EMAIL, idempotency_key=idempotency_key)
    send_only = client_of(deployment, "--send-only")
    stranger = anypost.Anypost("ap_nobody", base_url=base_url(deployment))

    with pytest.raises(anypost.ValidationError) as body:
        client.email.send({**EMAIL, "to": []})
    with pytest.raises(anypost.ValidationError) as query:
        client.events.list({"domain": "elsewhere.example"})
    with pytest.raises(anypost.AuthenticationError):
        stranger.whoami()
    with pytest.raises(anypost.PermissionError):
        send_only.domains.list()
    with pytest.raises(anypost.PermissionError):
        client.email.send({**EMAIL, "from": "news@elsewhere.example"})
    with pytest.raises(anypost.NotFoundError):
        client.domains.get("domain_00000000-0000-0000-0000-000000000000")
    with pytest.raises(anypost.ConflictError):
        client.domains.create({"name": DOMAIN})
    with pytest.raises(anypost.IdempotencyMismatchError):
        client.email.send({**EMAIL, "subject": "other"}, idempotency_key=idempotency_key)
    with pytest.raises(anypost.PayloadTooLargeError):
        client.email.send(
            {**EMAIL, "attachments": [{"filename": "a", "content": bytes(6_000_000)}]}
        )

    assert list(body.value.errors) == ["to"]
    assert body.value.status == 422
    assert body.value.request_id is not None
    assert body.value.request_id in deployment.sidecar_log()
    assert (query.value.status, list(query.value.errors)) == (400, ["domain"])
    send_only.email.send(EMAIL)
    send_only.close()
    stranger.close()


def test_an_api_that_is_not_there(deployment: Deployment) -> None:
    """The client's own connection error."""
    with (
        anypost.Anypost("ap_x", base_url=f"http://{LOOPBACK}:1/v1", max_retries=0) as client,
        pytest.raises(anypost.APIConnectionError),
    ):
        client.whoami()
