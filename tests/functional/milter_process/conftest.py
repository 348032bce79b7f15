"""One deployment for all tests of the milter's process."""

from collections.abc import Iterator

import pytest

from support.deployment import Deployment, deploy
from support.dns_server import DnsServer
from support.installation import Installation
from support.postfix import PrivatePostfix
from support.webhook_receiver import WebhookReceiver


@pytest.fixture(scope="session")
def running(
    postfix: PrivatePostfix, dns_server: DnsServer, receiver: WebhookReceiver
) -> Iterator[Deployment]:
    """Give a deployment of this folder's own, whose milter is signalled about."""
    with Installation() as installation:
        yield deploy(installation, postfix, dns_server, receiver, name="process")
