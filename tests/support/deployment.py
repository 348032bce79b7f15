"""OpenClick beside the private Postfix, set up as an admin does it: what functional tests start on.

Who calls: tests/functional/conftest.py and the bench. Promises: on return a mail from `DOMAIN` is
tracked. The listeners are variants of one Postfix:

    submission  this machine's own mail, no login
    sasl        AUTH PLAIN, for whom `support.postfix` knows
    stranger    XCLIENT allowed, so that a test plays any client on the internet
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from support.dns_server import DnsServer
from support.installation import PUBLIC_HOSTNAME, Installation
from support.postfix import PrivatePostfix
from support.postfix_config import Listener
from support.processes import LOOPBACK, wait_until
from support.signatures import verify_signature, verify_standard_webhook
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

DOMAIN = "kontor.example"
TRACKING_DOMAIN = f"track.{DOMAIN}"
OFF_DOMAIN = "leise.example"
"""Added and verified, with both defaults off."""
UNVERIFIED_DOMAIN = "wartet.example"
"""Added with both defaults on, but its tracking domain does not exist."""
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

_MESSAGE_ID = re.compile(rb"^Message-ID: *<[^>]+>", re.MULTILINE | re.IGNORECASE)
_RECEIVED = re.compile(rb"\AReceived:.*?\r\n(?![ \t])", re.DOTALL)


@dataclass
class Deployment:
    """The running whole; `secret` signs what the webhook gets."""

    installation: Installation
    postfix: PrivatePostfix
    submission: Listener
    sasl: Listener
    stranger: Listener
    secret: str

    @property
    def peer(self) -> tuple[str, int]:
        """Where the sidecar answers."""
        return LOOPBACK, self.installation.hit_port

    def milter_log(self) -> str:
        """Everything that the milter has logged."""
        return self._log("milter")

    def sidecar_log(self) -> str:
        """Everything that the sidecar has logged."""
        return self._log("sidecar")

    def _log(self, name: str) -> str:
        return (self.installation.directory / f"{name}.log").read_text("utf-8", "replace")


def deploy(
    installation: Installation,
    postfix: PrivatePostfix,
    dns: DnsServer,
    receiver: WebhookReceiver,
    name: str = "openclick",
    **sections: Mapping[str, object],
) -> Deployment:
    """Set everything up and start both daemons; `sections` are settings over the usual ones.

    `name` names the socket's directory and begins the listeners' names, so that one Postfix serves
    several deployments; only the one called openclick takes sendmail(1)'s mail.
    """
    socket = postfix.milter_socket_dir(installation.milter_uid, name=name) / "milter.sock"
    relative = f"unix:{name}/milter.sock"
    submission = postfix.add_listener(f"{name}-submission", relative, "accept")
    submit_to = {"submit_to": f"{LOOPBACK}:{submission.port}"}
    sections = {**sections, "api": submit_to | dict(sections.get("api", {}))}
    installation.configure(f"unix:{socket}", dns.port, **sections)
    installation.init()
    installation.start_sidecar()
    add_domain(installation, dns, DOMAIN, "--opens", "--clicks")
    add_domain(installation, dns, OFF_DOMAIN)
    installation.openclick("domain", "add", UNVERIFIED_DOMAIN, "--opens", "--clicks")
    url = f"http://{LOOPBACK}:{receiver.port}/events"
    secret = installation.openclick_json("webhook", "add", url)["signing_secret"]
    sasl = postfix.add_listener(f"{name}-sasl", relative, "accept", sasl=True)
    stranger = postfix.add_listener(f"{name}-stranger", relative, "accept", xclient=True)
    if name == "openclick":
        postfix.configure(non_smtpd_milters=relative)
    installation.start_milter()
    return Deployment(installation, postfix, submission, sasl, stranger, secret)


def add_domain(installation: Installation, dns: DnsServer, name: str, *options: str) -> None:
    """Add a sending domain, publish its record, and verify it."""
    dns.set(PUBLIC_HOSTNAME, "A", LOOPBACK)
    dns.set(f"track.{name}", "CNAME", f"{PUBLIC_HOSTNAME}.")
    installation.openclick("domain", "add", name, *options)
    installation.openclick("domain", "verify", name)


def signed_events(
    receiver: WebhookReceiver, secret: str, message_id: str, count: int, timeout: float = 20.0
) -> list[dict[str, Any]]:
    """Wait for `count` events of one message, verify each batch's signatures, return the events.

    Other messages' events may come between: the receiver is shared by all tests of a run.
    """
    events: list[dict[str, Any]] = []
    posts, deadline = 0, time.monotonic() + timeout
    while len(events) < count:
        posts += 1
        post = receiver.wait_for(posts, deadline - time.monotonic())[posts - 1]
        verify_signature(secret, post.headers["anypost-signature"], post.body, time.time())
        verify_standard_webhook(secret, post.headers, post.body, time.time())
        batch = json.loads(post.body)["events"]
        events += [event for event in batch if event["data"]["message_id"] == message_id]
    return events


def delivered(sink: SmtpSink, raw: bytes, timeout: float = 10.0) -> bytes:
    """Wait for the mail `raw`, told by its Message-ID, and return it as it arrived."""
    match = _MESSAGE_ID.search(raw)
    assert match is not None, "the mail has no Message-ID"
    marker = match[0].strip()
    found = wait_until(
        lambda: [m.content for m in list(sink.messages) if marker in m.headers_bytes],
        timeout,
        f"a mail with {marker.decode()}",
    )
    return found[0]


def as_submitted(content: bytes) -> bytes:
    """Take the Received fields off that Postfix put on top of a delivered message."""
    while match := _RECEIVED.match(content):
        content = content[match.end() :]
    return content
