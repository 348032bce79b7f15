"""The main job by https: links become https as soon as the tracking domain can serve it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import messages
from support.authority import Authority
from support.deployment import BROWSER, DOMAIN, TRACKING_DOMAIN, Deployment, delivered, deploy
from support.deployment import signed_events as events_of
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.http_client import fetch
from support.installation import Installation
from support.postfix import PrivatePostfix
from support.processes import LOOPBACK, free_port, wait_until
from support.reading import open_images, tracking_links
from support.smtp_client import send
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix


@pytest.fixture
def port() -> int:
    """Give the port of the TLS listener, which the links name."""
    return free_port()


@pytest.fixture
def ca() -> Authority:
    """Give a CA."""
    return Authority()


@pytest.fixture
def deployment(
    postfix: PrivatePostfix,
    dns_server: DnsServer,
    receiver: WebhookReceiver,
    port: int,
    ca: Authority,
) -> Iterator[Deployment]:
    """Give an installation with a TLS listener and no certificate yet, on a machine that trusts."""
    with Installation() as installation:
        trusted = installation.directory / "ca.pem"
        trusted.write_bytes(ca.root_pem)
        installation.extra_env["SSL_CERT_FILE"] = str(trusted)
        sections = {
            "links": {"scheme": "auto", "port": installation.hit_port, "https_port": port},
            "sidecar": {"tls_listen": [f"{LOOPBACK}:{port}"]},
        }
        yield deploy(installation, postfix, dns_server, receiver, "https", **sections)


def mailed(deployment: Deployment, sink: SmtpSink, message_id: str) -> bytes:
    """Send a newsletter; return it as it arrived."""
    raw = messages.newsletter(message_id=message_id)
    assert send(deployment.submission, f"news@{DOMAIN}", messages.RECIPIENTS, raw).accepted
    return delivered(sink, raw)


def test_links_become_https(
    deployment: Deployment, sink: SmtpSink, receiver: WebhookReceiver, port: int, ca: Authority
) -> None:
    """http before the certificate, https after it, no restart between; hits become events."""
    certificates: Path = deployment.installation.certificates
    before = tracking_links(mailed(deployment, sink, "<before@kontor.example>"))
    ca.put(certificates, TRACKING_DOMAIN)
    shown = ("domain", "show", DOMAIN)
    wait_until(
        lambda: (
            deployment.installation.openclick_json(*shown)["tracking"]["link_scheme"] == "https"
        ),
        60,
        "https",
        0.3,
    )
    arrived = mailed(deployment, sink, "<after@kontor.example>")
    after, [image] = tracking_links(arrived), open_images(arrived)
    peer, agent, tls = (LOOPBACK, port), {"User-Agent": BROWSER}, ca.client("h2", "http/1.1")

    opened = fetch(image, peer, agent, tls=tls)
    clicked = fetch(after[1], peer, agent, tls=tls)
    events = events_of(receiver, deployment.secret, "<after@kontor.example>", 2)

    assert {"http"} == {link.partition(":")[0] for link in before}
    assert {"https"} == {link.partition(":")[0] for link in (image, *after)}
    assert (200, "image/gif") == (opened.status, opened.header("content-type"))
    assert (302, messages.TRACKED_LINKS[1]) == (clicked.status, clicked.header("location"))
    assert ["email.clicked", "email.opened"] == sorted(event["type"] for event in events)
    assert {LOOPBACK} == {event["data"]["tracking"]["ip"] for event in events}
