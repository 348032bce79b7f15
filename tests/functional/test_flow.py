"""The main job, once through: a mail submitted over SMTP becomes two signed events."""

from support import messages
from support.deployment import BROWSER, DOMAIN, Deployment, as_submitted, delivered, signed_events
from support.fixtures import requires_private_postfix
from support.http_client import fetch
from support.reading import html_of, open_images, text_of, tracking_links
from support.smtp_client import send
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix


def test_a_mail_becomes_an_open_and_a_click(
    deployment: Deployment, sink: SmtpSink, receiver: WebhookReceiver
) -> None:
    """A submitted newsletter arrives instrumented; its image and a link become signed events."""
    raw = messages.newsletter(
        message_id="<flow@kontor.example>",
        headers={"X-Anypost-Tags": "a,b", "X-Anypost-Topic": "news"},
    )

    sent = send(deployment.submission, f"news@{DOMAIN}", messages.RECIPIENTS, raw)
    arrived = delivered(sink, raw)
    [image] = open_images(arrived)
    links = tracking_links(arrived)
    opened = fetch(image, deployment.peer, {"User-Agent": BROWSER})
    clicked = fetch(links[1], deployment.peer, {"User-Agent": BROWSER})
    events = signed_events(receiver, deployment.secret, "<flow@kontor.example>", 2)

    assert sent.accepted
    assert (200, "image/gif") == (opened.status, opened.header("content-type"))
    assert (302, messages.TRACKED_LINKS[1]) == (clicked.status, clicked.header("location"))
    assert ["email.clicked", "email.opened"] == sorted(event["type"] for event in events)
    for event in events:
        data = event["data"]
        assert f"news@{DOMAIN}" == data["from"]
        assert messages.RECIPIENTS[0] == data["recipient"]
        assert (["a", "b"], "news", None) == (data["tags"], data["topic"], data["campaign"])
        assert "127.0.0.1" == data["tracking"]["ip"]
        assert BROWSER == data["tracking"]["user_agent"]
        assert "bot" not in data["tracking"]
    assert events[0]["data"]["email_id"] == events[1]["data"]["email_id"]


def test_only_hrefs_and_the_image_differ(deployment: Deployment, sink: SmtpSink) -> None:
    """Every link that should be tracked leads on to its destination; nothing else changed."""
    raw = messages.newsletter()

    send(deployment.submission, f"news@{DOMAIN}", messages.RECIPIENTS, raw)
    arrived = delivered(sink, raw)
    html = html_of(arrived)
    [image] = open_images(arrived)
    links = tracking_links(arrived)
    destinations = [
        fetch(link, deployment.peer, {"User-Agent": BROWSER}).header("location") for link in links
    ]

    assert list(messages.TRACKED_LINKS) == destinations
    restored = html.replace(f'<img src="{image}" width="1" height="1" alt="">', "")
    for link, destination in zip(links, destinations, strict=True):
        assert destination is not None
        restored = restored.replace(link, destination.replace("&", "&amp;"))
    assert html_of(raw) == restored
    assert text_of(raw) == text_of(arrived)
    assert raw.partition(b"\r\n\r\n")[0] == as_submitted(arrived).partition(b"\r\n\r\n")[0]


def test_a_long_destination_and_a_campaign_reach_the_event(
    deployment: Deployment, sink: SmtpSink, receiver: WebhookReceiver
) -> None:
    """Over 300 characters, whatever stands in them, are followed and reported as they were."""
    query = "&".join(f"utm_{n}=Gr%C3%BC%C3%9Fe+{n}/{'x' * 60}" for n in range(12))
    destination = f"https://shop.kontor.example/way/@team/to;v=1?{query}#top"
    page = f'<html><body><a href="{destination.replace("&", "&amp;")}">Way</a></body></html>'
    message_id = "<long@kontor.example>"
    headers = {"X-Anypost-Campaign": "nov-2025"}
    raw = messages.newsletter(message_id=message_id, html=page, headers=headers)

    send(deployment.submission, f"news@{DOMAIN}", messages.RECIPIENTS, raw)
    arrived = delivered(sink, raw)
    [link] = tracking_links(arrived)
    clicked = fetch(link, deployment.peer, {"User-Agent": BROWSER})
    [event] = signed_events(receiver, deployment.secret, message_id, 1)

    assert len(destination) > 900
    assert (302, destination) == (clicked.status, clicked.header("location"))
    assert destination == event["data"]["tracking"]["url"]
    assert "nov-2025" == event["data"]["campaign"]
    assert b"X-Anypost-Campaign" not in arrived
