"""`openclick test-send` through a real Postfix: tracked, untouched, or not seen, and why."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support.deployment import OFF_DOMAIN, UNVERIFIED_DOMAIN, Deployment, deploy
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.postfix import PrivatePostfix
from support.processes import wait_until
from support.reading import open_images, tracking_links
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

READER = "you@reader.example"


@dataclass
class Said:
    """What the command printed, and how it ended."""

    out: str
    err: str
    status: int


@pytest.fixture(scope="module")
def own(sink: SmtpSink, dns_server: DnsServer, receiver: WebhookReceiver) -> Iterator[Deployment]:
    """Give a deployment of this module's own, since tests change its Postfix."""
    with PrivatePostfix(sink.port) as postfix, Installation() as installation:
        yield deploy(installation, postfix, dns_server, receiver)


def send_probe(own: Deployment, *options: str, password: str = "") -> Said:
    """Run the command on this deployment."""
    where = ("--postfix-config", str(own.postfix.config_dir))
    own.installation.extra_env["OPENCLICK_SMTP_PASSWORD"] = password
    done = own.installation.openclick("test-send", READER, *where, *options, check=False)
    return Said(done.stdout, done.stderr, done.returncode)


def arrived(sink: SmtpSink) -> bytes:
    """Wait for the one mail to the reader and return it."""
    return wait_until(lambda: [m.content for m in list(sink.messages)], 20.0, "the test mail")[0]


def test_a_tracked_mail_is_told_link_by_link(own: Deployment, sink: SmtpSink) -> None:
    """By sendmail(1), from the first verified domain: what the row says is what arrived."""
    said = send_probe(own)
    mail = arrived(sink)

    assert said.status == 0, said.err
    assert "Tracked: 1 of 3 links, with the open image." in said.out
    assert "opt-out attribute" in said.out
    assert (len(tracking_links(mail)), len(open_images(mail))) == (1, 1)


def test_it_goes_the_way_of_an_app(own: Deployment, sink: SmtpSink) -> None:
    """Over SMTP with a login, as JSON."""
    server = f"{own.sasl.host}:{own.sasl.port}"

    said = send_probe(own, "--smtp", server, "--login", "app", "--json", password="secret")

    (row,) = json.loads(said.out)
    assert said.status == 0, said.err
    assert row["outcome"] == "instrumented"
    assert len(open_images(arrived(sink))) == 1


@pytest.mark.parametrize(
    ("domain", "reason"), [(OFF_DOMAIN, "off"), (UNVERIFIED_DOMAIN, "not verified")]
)
def test_an_untouched_mail_is_told_with_its_reason(
    own: Deployment, sink: SmtpSink, domain: str, reason: str
) -> None:
    """Exit status 1, since the admin wanted to see it tracked."""
    said = send_probe(own, "--from", f"news@{domain}")

    assert said.status == 1
    assert "Untouched:" in said.out
    assert reason in said.out
    assert tracking_links(arrived(sink)) == []


def test_tracked_asks_by_control_headers(own: Deployment, sink: SmtpSink) -> None:
    """The domain's defaults are off; the headers say on, and are gone when it arrives."""
    said = send_probe(own, "--from", f"news@{OFF_DOMAIN}", "--tracked")
    mail = arrived(sink)

    assert said.status == 0, said.out
    assert len(tracking_links(mail)) == 1
    assert b"X-Anypost" not in mail


def test_a_domain_that_is_not_added_is_not_sent_from(own: Deployment, sink: SmtpSink) -> None:
    """It would not be tracked; the command that adds it is named."""
    said = send_probe(own, "--from", "news@fremd.example")

    assert said.status == 1
    assert "openclick domain add fremd.example" in said.err
    assert list(sink.messages) == []


def test_a_wrong_password_is_told_as_the_server_said_it(own: Deployment) -> None:
    """Nothing was sent."""
    server = f"{own.sasl.host}:{own.sasl.port}"

    said = send_probe(own, "--smtp", server, "--login", "app", password="wrong")

    assert said.status == 1
    assert said.err.startswith(f"openclick: not sent: {server}: 535 ")


def test_a_milter_that_is_not_asked_is_found(own: Deployment, sink: SmtpSink) -> None:
    """Postfix without the milter in non_smtpd_milters: the parameter and the cure are named."""
    own.postfix.configure(non_smtpd_milters="")

    said = send_probe(own, "--wait", "2")
    own.postfix.configure(non_smtpd_milters="unix:openclick/milter.sock")

    assert said.status == 1
    assert "non_smtpd_milters does not name unix:openclick/milter.sock" in said.err
    assert "openclick postfix --apply" in said.err


def test_a_listener_without_the_milter_is_found(own: Deployment) -> None:
    """The mail went in, but the client or the listener was not the right one."""
    bare = own.postfix.add_listener("bare")

    said = send_probe(own, "--smtp", f"{bare.host}:{bare.port}", "--wait", "1")

    assert said.status == 1
    assert "whether it is the one that took the mail" in said.err
