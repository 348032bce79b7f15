"""The tracking domain and the webhooks, over real sockets."""

import json
import re

import pytest

from support import messages
from support.deployment import BROWSER, DOMAIN, Deployment, delivered, signed_events
from support.fixtures import requires_private_postfix
from support.http_client import fetch, raw_request
from support.processes import LOOPBACK, wait_until
from support.reading import open_images, tracking_links
from support.smtp_client import send
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"


class Mail:
    """A tracked mail: its image, its links, and the id that its events name."""

    def __init__(self, deployment: Deployment, sink: SmtpSink, message_id: str) -> None:
        self.message_id = message_id
        raw = messages.newsletter(message_id=message_id)
        send(deployment.submission, f"news@{DOMAIN}", messages.RECIPIENTS, raw)
        content = delivered(sink, raw)
        [self.image] = open_images(content)
        self.links = tracking_links(content)


@pytest.fixture
def mail(deployment: Deployment, sink: SmtpSink, request: pytest.FixtureRequest) -> Mail:
    """Give a mail of this test's own."""
    return Mail(deployment, sink, f"<{request.node.name}@kontor.example>")


def rules_of(deployment: Deployment, mail: Mail) -> list[str]:
    """Return the verdicts on the hits of a mail, in order of arrival."""
    import sqlite3  # noqa: PLC0415 - an outsider's look into the file

    with sqlite3.connect(deployment.installation.state / "openclick.db") as connection:
        rows = connection.execute(
            "SELECT v.rule FROM verdicts v ORDER BY v.received_at, v.rowid"
        ).fetchall()
    connection.close()
    return [row[0] for row in rows]


def test_image_proxy_counts_and_is_named(
    deployment: Deployment, receiver: WebhookReceiver, mail: Mail
) -> None:
    """Gmail's image proxy makes an open event with bot {source, kind: "proxy"}."""
    fetch(mail.image, deployment.peer, {"User-Agent": GMAIL})

    [event] = signed_events(receiver, deployment.secret, mail.message_id, 1)

    assert "email.opened" == event["type"]
    assert {"source": "google", "kind": "proxy"} == event["data"]["tracking"]["bot"]


def test_prefetch_and_automation_never_become_events(
    deployment: Deployment, receiver: WebhookReceiver, mail: Mail
) -> None:
    """Dropped hits have a verdict each; the person who comes after them is the only event."""
    machines = [
        {"User-Agent": BROWSER, "Sec-Purpose": "prefetch;prerender"},
        {"User-Agent": "curl/8.5.0"},
        {"User-Agent": ""},
        {"User-Agent": GMAIL},
    ]
    already = len(rules_of(deployment, mail))
    for headers in machines:
        assert 302 == fetch(mail.links[0], deployment.peer, headers).status
    fetch(mail.links[0], deployment.peer, {"User-Agent": BROWSER})

    events = signed_events(receiver, deployment.secret, mail.message_id, 1)
    rules = wait_until(
        lambda: len(found := rules_of(deployment, mail)) >= already + 5 and found[already:],
        10,
        "five verdicts",
    )

    assert [BROWSER] == [event["data"]["tracking"]["user_agent"] for event in events]
    assert [
        "sec-purpose-prefetch",
        "http-library",
        "no-user-agent",
        "image-proxy-click",
        "no-rule",
    ] == rules


def test_a_scanners_burst_never_becomes_events(
    deployment: Deployment, receiver: WebhookReceiver, mail: Mail
) -> None:
    """Three links at once by what looks like a browser are dropped; the image counts."""
    for link in mail.links[:3]:
        assert 302 == fetch(link, deployment.peer, {"User-Agent": BROWSER}).status
    fetch(mail.image, deployment.peer, {"User-Agent": BROWSER})

    [event] = signed_events(receiver, deployment.secret, mail.message_id, 1)
    explained = deployment.installation.openclick_json("explain", "hit", event["data"]["email_id"])

    assert "email.opened" == event["type"]
    assert ["burst"] * 3 + ["no-rule"] == [hit["rule"] for hit in explained]
    assert list(messages.TRACKED_LINKS[:3]) == [hit["destination"] for hit in explained[:3]]


def test_head_is_answered_and_never_counts(
    deployment: Deployment, receiver: WebhookReceiver, mail: Mail
) -> None:
    """HEAD gets the redirect's header; only the GET that follows becomes an event."""
    head = fetch(mail.links[0], deployment.peer, {"User-Agent": BROWSER}, method="HEAD")
    fetch(mail.links[1], deployment.peer, {"User-Agent": BROWSER})

    events = signed_events(receiver, deployment.secret, mail.message_id, 1)

    assert (302, messages.TRACKED_LINKS[0]) == (head.status, head.header("location"))
    assert [messages.TRACKED_LINKS[1]] == [event["data"]["tracking"]["url"] for event in events]


def test_token_opens_on_its_own_domain_only(deployment: Deployment, mail: Mail) -> None:
    """The same path asked of another host is the constant 404, and the image of nobody's."""
    elsewhere = {"User-Agent": BROWSER, "Host": "track.leise.example"}

    link = fetch(mail.links[0], deployment.peer, elsewhere)
    image = fetch(mail.image, deployment.peer, elsewhere)

    assert (404, None) == (link.status, link.header("location"))
    assert (200, "image/gif") == (image.status, image.header("content-type"))


def test_junk_after_the_token_does_not_break_the_link(deployment: Deployment, mail: Mail) -> None:
    """Clients add queries and stray characters; the leading base64url run is what counts."""
    for junk in ("?utm_source=x", "%27", "'", ".", "/"):
        answer = fetch(mail.links[0] + junk, deployment.peer, {"User-Agent": BROWSER})

        assert (302, messages.TRACKED_LINKS[0]) == (answer.status, answer.header("location"))


def test_answers_hold_what_a_tracking_domain_must_say(deployment: Deployment, mail: Mail) -> None:
    """No answer may be cached or send a referrer; the root and robots.txt say something."""
    image = fetch(mail.image, deployment.peer, {"User-Agent": BROWSER})
    robots = fetch("http://track.kontor.example/robots.txt", deployment.peer)
    root = fetch("http://track.kontor.example/", deployment.peer)

    assert "no-store" == image.header("cache-control")
    assert "no-referrer" == image.header("referrer-policy")
    assert b"Disallow: /" in robots.body
    assert (200, True) == (root.status, b"e-mail" in root.body)


def test_pipelined_requests_are_answered_in_order(deployment: Deployment, mail: Mail) -> None:
    """Three requests on one connection: three answers, the last one closes."""
    host, path = "track.kontor.example", mail.links[0].split("/", 3)[3]
    request = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: x\r\n"

    answer = raw_request(
        deployment.installation.hit_port,
        f"{request}\r\nGET /robots.txt HTTP/1.1\r\nHost: {host}\r\n\r\n"
        f"{request}Connection: close\r\n\r\n".encode(),
    )

    assert [b"302", b"200", b"302"] == re.findall(rb"HTTP/1\.1 (\d+) ", answer)


def test_refused_delivery_is_tried_again_with_the_same_batch(
    deployment: Deployment, receiver: WebhookReceiver, mail: Mail
) -> None:
    """After a 503 the batch comes again, same batch_id and events, signed anew."""
    refusals = iter([503])
    receiver.answer_with(
        lambda post: next(refusals, 200) if mail.message_id.encode() in post.body else 200
    )
    fetch(mail.image, deployment.peer, {"User-Agent": BROWSER})

    events = signed_events(receiver, deployment.secret, mail.message_id, 2, timeout=30)
    receiver.answer_with(200)
    posts = [post for post in receiver.posts if mail.message_id.encode() in post.body]

    assert events[0] == events[1]
    first, second = (json.loads(post.body) for post in posts)
    assert first["batch_id"] == second["batch_id"]
    assert posts[0].headers["anypost-signature"] != posts[1].headers["anypost-signature"]


def test_metrics_tell_of_both_daemons(deployment: Deployment, mail: Mail) -> None:
    """The milter has no listener: its numbers come from its heartbeat, by way of the store."""
    fetch(mail.image, deployment.peer, {"User-Agent": BROWSER})
    url = f"http://{LOOPBACK}:{deployment.installation.metrics_port}/metrics"

    def metrics() -> str:
        text = fetch(url).body.decode()
        return text if "openclick_milter_instrumented_total" in text else ""

    found = wait_until(metrics, 15, "a heartbeat of the milter")

    assert "openclick_milter_heartbeat_time_seconds 1" in found
    assert 'openclick_sidecar_requests_total{asked_for="open",method="GET",status="200"}' in found
    assert 'openclick_sidecar_hits_total{outcome="recorded"}' in found
