"""Endpoints that misbehave, each beside a healthy one: classed, bounded, and nobody else waits."""

import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.dns_server import DnsServer
from support.http_client import fetch
from support.installation import Installation
from support.private_authority import PrivateAuthority
from support.processes import LOOPBACK, wait_until
from support.rude_endpoint import (
    Behaviour,
    RudeEndpoint,
    answering,
    bomb_bytes,
    endless_body,
    endless_header,
    gzip_bomb,
    hanging,
    resetting,
    trickling,
)
from support.webhook_books import log_events
from support.webhook_oracles import oracles_accept
from support.webhook_receiver import WebhookReceiver

HOST = "hooks.kontor.example"
FAULTS: list[tuple[str, Behaviour, str, int | None]] = [
    ("hanging", hanging, "timeout", None),
    ("trickling", trickling, "timeout", None),
    ("404", answering(404), "client_error", 404),
    ("500", answering(500), "server_error", 500),
    ("503", answering(503, "Retry-After: 7200"), "server_error", 503),
    ("endless body", endless_body, "server_error", 500),
    ("endless header", endless_header, "broken", None),
    ("gzip bomb", gzip_bomb, "server_error", 500),
    ("reset", resetting, "broken", None),
    ("no http", lambda connection: connection.sendall(b"220 ESMTP\r\n"), "broken", None),
]
_MEBIBYTE = 1024


class World:
    """One sidecar and its webhooks; `number` goes on over all tests."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.number = 0

    def add(self, url: str) -> str:
        """Add a webhook; return its id."""
        identity: str = self.installation.openclick_json("webhook", "add", url)["id"]
        return identity

    def log(self, count: int = 1) -> None:
        """Make events."""
        log_events(self.installation.store, range(self.number, self.number + count))
        self.number += count

    def last_attempt(self, webhook_id: str) -> dict[str, Any]:
        """Wait for the end of an attempt to a webhook."""

        def ended() -> dict[str, Any] | None:
            (delivery, *_) = self.installation.openclick_json(
                "webhook", "deliveries", webhook_id
            ) or [{"last_attempt": None}]
            last: dict[str, Any] | None = delivery["last_attempt"]
            return last if last and last["finished_at"] else None

        return wait_until(ended, 30, "the end of an attempt", 0.2)

    def peak_kibibytes(self) -> int:
        """Return the most memory that the sidecar has had."""
        daemon = self.installation.sidecar
        assert daemon is not None
        text = Path(f"/proc/{daemon.pid}/status").read_text("utf-8")
        return next(int(t.split()[1]) for t in text.splitlines() if t.startswith("VmHWM:"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> PrivateAuthority:
    """Give the authority that the sidecar trusts."""
    directory = tmp_path_factory.mktemp("authority")
    made = PrivateAuthority(directory, "ours")
    directory.chmod(0o755)
    directory.parent.chmod(0o755)
    directory.parent.parent.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def world(authority: PrivateAuthority, dns_server: DnsServer) -> Iterator[World]:
    """Give a sidecar that may post to loopback, by way of the test's name server."""
    with Installation() as installation:
        ca_path = installation.directory / "ca.pem"
        ca_path.write_bytes(authority.ca_path.read_bytes())
        installation.configure(
            f"unix:{installation.directory}/m.sock",
            dns_server.port,
            webhooks={"ca_file": str(ca_path), "timeout_seconds": 2, "connect_timeout_seconds": 1},
        )
        installation.init()
        bomb_bytes()
        installation.start_sidecar()
        yield World(installation)


@pytest.mark.parametrize(
    ("behave", "outcome", "status"), [fault[1:] for fault in FAULTS], ids=[f[0] for f in FAULTS]
)
def test_a_fault_is_classed_and_bounded(
    world: World,
    receiver: WebhookReceiver,
    behave: Behaviour,
    outcome: str,
    status: int | None,
) -> None:
    """The attempt ends in time, the memory stays, and the healthy endpoint has its event."""
    healthy = world.add(receiver.url)
    before = world.peak_kibibytes()
    with RudeEndpoint(behave) as endpoint:
        webhook_id = world.add(endpoint.url())
        world.log()

        receiver.wait_for(1, 10)
        last = world.last_attempt(webhook_id)

        assert (outcome, status) == (last["outcome"], last["status_code"])
        assert len(last["response_body_preview"] or "") <= 2048
        assert world.peak_kibibytes() - before < 20 * _MEBIBYTE
        for identity in (webhook_id, healthy):
            world.installation.openclick("webhook", "remove", identity)


def test_a_redirect_is_not_followed(world: World) -> None:
    """Events go to the address that the admin named, and to no other."""
    with RudeEndpoint(answering(200)) as trap:
        location = f"Location: {trap.url()}"
        with RudeEndpoint(answering(307, location)) as endpoint:
            webhook_id = world.add(endpoint.url())
            world.log()

            last = world.last_attempt(webhook_id)

            assert ("redirect", 307) == (last["outcome"], last["status_code"])
            assert trap.accepted == 0
    world.installation.openclick("webhook", "remove", webhook_id)


def test_410_disables(world: World) -> None:
    """What was pending is abandoned, and stands in the list; nothing more is posted."""
    with RudeEndpoint(answering(410)) as endpoint:
        webhook_id = world.add(endpoint.url())
        world.log()
        world.last_attempt(webhook_id)

        world.log()
        time.sleep(1.5)  # a round and more, in which nothing may be posted

        shown = world.installation.openclick_json("webhook", "show", webhook_id)
        (listed,) = world.installation.openclick_json("webhook", "deliveries", webhook_id)
        assert ("disabled", "answered 410: the receiver wants no more events") == (
            shown["status"],
            shown["status_reason"],
        )
        assert ("abandoned", 1) == (listed["state"], len(endpoint.requests))
    world.installation.openclick("webhook", "remove", webhook_id)


@pytest.mark.parametrize("rcode", ["NXDOMAIN", "SERVFAIL"])
def test_a_name_that_leads_nowhere(world: World, dns_server: DnsServer, rcode: str) -> None:
    """The attempt fails with the name server's word, and is made again by the list."""
    dns_server.set_rcode(HOST, rcode)
    webhook_id = world.add(f"http://{HOST}/in")
    world.log()

    last = world.last_attempt(webhook_id)

    assert ("name", None) == (last["outcome"], last["status_code"])
    assert HOST in last["error"]
    world.installation.openclick("webhook", "remove", webhook_id)


# --- TLS


def test_a_certificate_of_ones_own_authority(
    world: World, authority: PrivateAuthority, dns_server: DnsServer
) -> None:
    """By name and by address: Host, SNI and certificate are the original name's."""
    dns_server.set(HOST, "A", LOOPBACK)
    names: list[str | None] = []
    for host in (HOST, LOOPBACK):
        context = authority.context(host)
        context.sni_callback = lambda _socket, name, _context: names.append(name)
        with RudeEndpoint(answering(204), context) as endpoint:
            webhook_id = world.add(endpoint.url(host))
            world.log()

            last = world.last_attempt(webhook_id)

            assert ("accepted", 204) == (last["outcome"], last["status_code"])
            assert f"Host: {host}:{endpoint.port}".encode() in endpoint.requests[0]
        world.installation.openclick("webhook", "remove", webhook_id)
    assert [HOST, None] == names


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("fault", ["another name", "another authority", "old protocol"])
def test_a_wrong_certificate(
    world: World, authority: PrivateAuthority, dns_server: DnsServer, tmp_path: Path, fault: str
) -> None:
    """No event is sent to whoever shows it."""
    dns_server.set(HOST, "A", LOOPBACK)
    context = authority.context("other.example" if fault == "another name" else HOST)
    if fault == "another authority":
        context = PrivateAuthority(tmp_path, "theirs").context(HOST)
    if fault == "old protocol":
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
    with RudeEndpoint(answering(204), context) as endpoint:
        webhook_id = world.add(endpoint.url(HOST))
        world.log()

        last = world.last_attempt(webhook_id)

        assert ("tls", None) == (last["outcome"], last["status_code"])
        assert b"evt_" not in b"".join(endpoint.requests)
    world.installation.openclick("webhook", "remove", webhook_id)


# --- by hand


def test_a_test_delivery(world: World, receiver: WebhookReceiver) -> None:
    """One webhook.test event, signed like all others, without a trace; also while disabled."""
    added = world.installation.openclick_json("webhook", "add", receiver.url)
    world.installation.openclick("webhook", "update", added["id"], "--status", "disabled")

    result = world.installation.openclick_json("webhook", "test", added["id"])

    (post,) = receiver.wait_for(1)
    assert b'"type":"webhook.test"' in post.body
    assert oracles_accept(added["signing_secret"], post.headers, post.body) == (True, True)
    assert (True, 200, None) == (result["delivered"], result["status_code"], result["error"])
    assert [] == world.installation.openclick_json("webhook", "deliveries", added["id"])
    receiver.answer_with(500)
    failed = world.installation.openclick("webhook", "test", added["id"], check=False)
    assert failed.returncode == 1
    assert "answered 500" in failed.stdout
    receiver.answer_with(200)
    world.installation.openclick("webhook", "remove", added["id"])


def test_a_replay_sends_the_same_events_again(world: World, receiver: WebhookReceiver) -> None:
    """New batches, the ids that they had."""
    since = "2020-01-01T00:00:00Z"
    webhook_id = world.add(receiver.url)
    world.log(150)
    receiver.wait_for(2)

    world.installation.openclick("webhook", "replay", webhook_id, "--since", since)

    posts = receiver.wait_for(2 + -(-world.number // 100))
    assert len({post.headers["webhook-id"] for post in posts}) == len(posts)
    wait_until(
        lambda: (
            world.installation.openclick_json(
                "webhook", "deliveries", webhook_id, "--state", "pending"
            )
            == []
        ),
        10,
        "all delivered",
    )
    world.installation.openclick("webhook", "remove", webhook_id)


def test_metrics_tell_of_webhooks(world: World) -> None:
    """Attempts by outcome, and the age of what waits."""
    with RudeEndpoint(answering(500)) as endpoint:
        webhook_id = world.add(endpoint.url())
        world.log()
        world.last_attempt(webhook_id)

        text = wait_until(
            lambda: (
                found if f'seconds{{webhook="{webhook_id}"}}' in (found := metrics(world)) else None
            ),
            20,
            "the backlog in the metrics",
            0.5,
        )

        assert f'webhook_pending_deliveries{{webhook="{webhook_id}"}} 1' in text
        assert 'webhook_attempts_total{outcome="server_error"}' in text
    world.installation.openclick("webhook", "remove", webhook_id)


def metrics(world: World) -> str:
    """Return the page."""
    peer = (LOOPBACK, world.installation.metrics_port)
    return fetch(f"http://{LOOPBACK}:{peer[1]}/metrics").body.decode()
