"""Whom the milter obeys, and whose X-OpenClick-Id it believes, seen through Postfix.

The clients come by XCLIENT, so that one machine plays any network.
"""

from collections.abc import Iterator

import pytest

from openclick.ids import new_email_id
from openclick.instants import now
from openclick.keys import load_keys
from openclick.sealed_ids import sealed_header
from support import messages
from support.deployment import Deployment, deploy
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.passage import passed, row_of
from support.postfix import PrivatePostfix
from support.reading import open_images, tracking_links
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

NETWORKS = ["203.0.113.0/25"]
INSIDE = ["203.0.113.0", "203.0.113.127"]
OUTSIDE = ["203.0.113.128", "198.51.100.9"]
TOPIC = {"X-Anypost-Topic": "news"}
RECEIVED = b"Received: from reader.example by relay.example; Mon, 24 Nov 2025 10:00:00 +0000\r\n"


@pytest.fixture(scope="module")
def trusting(
    postfix: PrivatePostfix, dns_server: DnsServer, receiver: WebhookReceiver
) -> Iterator[Deployment]:
    """Give a deployment that trusts NETWORKS."""
    milter = {"trusted_networks": NETWORKS}
    with Installation() as installation:
        yield deploy(installation, postfix, dns_server, receiver, "trusting", milter=milter)


def client(address: str) -> dict[str, str]:
    """Return XCLIENT's attributes of a client that has not logged in."""
    return {"ADDR": address, "NAME": "client.example"}


class TestTrustedNetworks:
    """`milter.trusted_networks`."""

    @pytest.mark.parametrize("address", INSIDE)
    def test_client_inside(self, trusting: Deployment, sink: SmtpSink, address: str) -> None:
        """Obeyed without a login; a Received field is no obstacle, as it is for local mail."""
        raw = RECEIVED + messages.newsletter(headers=TOPIC)

        sent, arrived = passed(trusting.stranger, sink, raw, xclient=client(address))

        assert (1, 7) == (len(open_images(arrived)), len(tracking_links(arrived)))
        assert b"X-Anypost" not in arrived
        assert "news" == row_of(trusting, sent.queue_id).labels.topic

    @pytest.mark.parametrize("address", OUTSIDE)
    def test_client_outside(self, trusting: Deployment, sink: SmtpSink, address: str) -> None:
        """A stranger's mail passes as it came, its control headers included."""
        raw = messages.newsletter(headers=TOPIC)

        _, arrived = passed(trusting.stranger, sink, raw, xclient=client(address))

        assert raw == arrived


class TestOpenClickId:
    """`X-OpenClick-Id`, by which the API names what it submits."""

    def test_ours_is_kept_and_removed(self, deployment: Deployment, sink: SmtpSink) -> None:
        """The row and the tokens get the id that our key vouches for; the field stays here."""
        email_id = new_email_id(now(), b"0123456789")
        ring = load_keys(str(deployment.installation.state / "keys"))
        value = sealed_header(email_id, ring)
        raw = messages.newsletter(headers={"X-OpenClick-Id": value})

        sent, arrived = passed(deployment.submission, sink, raw)

        assert email_id == row_of(deployment, sent.queue_id).email_id
        assert b"X-OpenClick-Id" not in arrived
        assert (1, 7) == (len(open_images(arrived)), len(tracking_links(arrived)))

    def test_forged_is_ignored_and_removed(self, deployment: Deployment, sink: SmtpSink) -> None:
        """An id with a MAC that is not ours names nothing, and does not leave either."""
        email_id = new_email_id(now(), b"9876543210")
        ring = load_keys(str(deployment.installation.state / "keys"))
        text, _, mac = sealed_header(email_id, ring).partition(" ")
        raw = messages.newsletter(headers={"X-OpenClick-Id": f"{text} {mac[::-1]}"})

        sent, arrived = passed(deployment.submission, sink, raw)

        assert email_id != row_of(deployment, sent.queue_id).email_id
        assert b"X-OpenClick-Id" not in arrived
        assert (1, 7) == (len(open_images(arrived)), len(tracking_links(arrived)))
