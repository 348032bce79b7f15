"""Every line that the daemons write over a whole flow: its form, its level, and no secret in it."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import messages
from support.deployment import BROWSER, DOMAIN, OFF_DOMAIN, Deployment, delivered, deploy
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

VALUE = r'(?:"[^"]*"|[^\s"]+)'
LINE = re.compile(
    r"openclick-(?P<program>milter|sidecar) (?P<level>debug|info|warning|error) "
    rf"(?P<subject>\S[^=]*?): (?P<words>[^=]+?)(?P<fields>(?: [a-z_]+={VALUE})*)"
)
PASSWORD = "correct-horse-battery"
IN_A_URL = "T024/staple"
"""Receivers have their own secrets in the path."""


@pytest.fixture(scope="module")
def logged(
    sink: SmtpSink, dns_server: DnsServer, receiver: WebhookReceiver
) -> Iterator[tuple[Deployment, list[str], list[str]]]:
    """Give a deployment after a whole flow: its lines, and what must not stand in them."""
    accounts = {"app": PASSWORD}
    with PrivatePostfix(sink.port, sasl_users=accounts) as postfix, Installation() as installation:
        deployment = deploy(installation, postfix, dns_server, receiver)
        tokens = _flow(deployment, sink)
        for daemon in (installation.milter, installation.sidecar):
            assert daemon is not None
            daemon.terminate()
        keys = (installation.state / "keys").glob("*.key")
        secrets = [path.read_text("ascii").strip() for path in keys]
        lines = (deployment.milter_log() + deployment.sidecar_log()).splitlines()
        yield deployment, lines, [*secrets, *tokens, deployment.secret, PASSWORD, IN_A_URL]


def _flow(deployment: Deployment, sink: SmtpSink) -> list[str]:
    """Have mail tracked, untouched and refused, hits of all sorts, deliveries that fail; reload.

    Returns the tokens of the tracked mail.
    """
    installation = deployment.installation
    dead = f"http://{LOOPBACK}:{free_port()}/{IN_A_URL}"
    installation.openclick("webhook", "add", dead)
    raw, off = messages.newsletter(), messages.newsletter(sender=f"news@{OFF_DOMAIN}")
    login = ("app", PASSWORD)
    send(deployment.sasl, f"news@{DOMAIN}", messages.RECIPIENTS, raw, login=login)
    send(deployment.submission, f"news@{OFF_DOMAIN}", messages.RECIPIENTS, off)
    mail = delivered(sink, raw)
    links, images = tracking_links(mail), open_images(mail)
    for url in (links[0], images[0], links[0][:-8] + "AAAAAAAA", f"{links[0]}%0a%1b[2J"):
        fetch(url, deployment.peer, {"User-Agent": BROWSER})
    _reload(installation)
    assert installation.sidecar is not None
    installation.sidecar.signal(signal.SIGHUP)
    wait_until(lambda: "settings: read again" in deployment.sidecar_log(), 20, "a reload")
    wait_until(lambda: ": delivered " in deployment.sidecar_log(), 60, "a delivery")
    wait_until(lambda: ": attempt failed " in deployment.sidecar_log(), 60, "a failed attempt")
    return [url.rpartition("/")[2] for url in (*links, *images)]


def _reload(installation: Installation) -> None:
    """Have the milter read settings at fault, then some that need a restart, then good ones."""
    assert installation.milter is not None
    log, good = installation.directory / "milter.log", installation.config_path.read_text("utf-8")
    steps = (
        ("[milter]\nsockt = 1\n", "stay as they were"),
        (good.replace("milter.sock", "m.sock"), "milter.socket has changed"),
        (good, "read again"),
    )
    for text, wanted in steps:
        seen = len(log.read_text("utf-8"))
        installation.config_path.write_text(text, "utf-8")
        installation.milter.signal(signal.SIGHUP)
        wait_until(lambda: _has(log, seen, wanted), 20, wanted)  # noqa: B023 - waited for here


def _has(log: Path, seen: int, wanted: str) -> bool:
    return wanted in log.read_text("utf-8")[seen:]


def test_every_line_has_its_form(logged: tuple[Deployment, list[str], list[str]]) -> None:
    """Program, level, subject, words, then key=value, whatever a stranger sends."""
    _, lines, _ = logged

    wrong = [text for text in lines if not LINE.fullmatch(text)]

    assert wrong == []
    assert len(lines) > 10


def test_no_secret_and_no_reader_in_a_line(
    logged: tuple[Deployment, list[str], list[str]],
) -> None:
    """Neither keys nor tokens nor signing secrets nor passwords, and no recipient, at any level."""
    _, lines, secrets = logged
    text = "\n".join(lines)

    assert [secret for secret in [*secrets, *messages.RECIPIENTS] if secret in text] == []


def test_one_line_a_message_and_a_delivery(
    logged: tuple[Deployment, list[str], list[str]],
) -> None:
    """A message's subject is the queue id that Postfix gave it."""
    deployment, lines, _ = logged
    matches = [match for text in lines if (match := LINE.fullmatch(text))]
    told = {match["subject"]: match["words"] for match in matches if match["level"] == "info"}
    queue_ids = set(
        re.findall(r"cleanup\[\d+\]: (\w+): message-id=", deployment.postfix.queue_log())
    )

    mail = {told[queue_id] for queue_id in queue_ids}

    assert mail == {"instrumented", "untouched"}
    assert len(queue_ids) == 2
    assert "delivered" in told.values()


def test_levels_tell_what_is_to_be_looked_at(
    logged: tuple[Deployment, list[str], list[str]],
) -> None:
    """A failed attempt is a warning, settings at fault an error, a broken token no news."""
    _, lines, _ = logged

    def levels(words: str) -> set[str]:
        return {text.split()[1] for text in lines if words in text}

    assert levels("attempt failed") == {"warning"}
    assert levels("the settings stay as they were") == {"error"}
    assert levels("restart needed") == {"warning"}
    assert levels(": refused kind=") == {"debug"}
