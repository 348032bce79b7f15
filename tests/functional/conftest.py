"""One world for all functional tests of a run: Postfix, sink, webhook receiver, name server.

Each is started when a test first asks for it and closed at the end of the session. What a server
kept from the test before is forgotten at the start of the next one.
"""

from collections.abc import Iterator

import pytest

from support.deployment import Deployment, deploy
from support.dns_server import DnsServer
from support.fixtures import installed
from support.installation import Installation
from support.postfix import PrivatePostfix, unavailable_reason
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

_KEEPERS = ("sink", "receiver", "dns_server")


@pytest.fixture(scope="session")
def sink() -> Iterator[SmtpSink]:
    """Give the next hop behind Postfix."""
    with SmtpSink() as server:
        yield server


@pytest.fixture(scope="session")
def postfix(sink: SmtpSink) -> Iterator[PrivatePostfix]:
    """Give the private Postfix, running; tests add listeners of their own."""
    reason = unavailable_reason()
    if reason is not None:
        pytest.skip(reason)  # no Postfix here, or not root
    with PrivatePostfix(sink.port) as instance:
        yield instance


@pytest.fixture(scope="session")
def receiver() -> Iterator[WebhookReceiver]:
    """Give the customer's webhook endpoint."""
    with WebhookReceiver() as server:
        yield server


@pytest.fixture(scope="session")
def dns_server() -> Iterator[DnsServer]:
    """Give the name server; its zone is empty at the start of each test."""
    with DnsServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _fresh_servers(request: pytest.FixtureRequest) -> None:
    for name in _KEEPERS:
        if name in request.fixturenames:
            request.getfixturevalue(name).clear()


@pytest.fixture(scope="session")
def deployment(
    postfix: PrivatePostfix, dns_server: DnsServer, receiver: WebhookReceiver
) -> Iterator[Deployment]:
    """Give OpenClick beside the private Postfix, with one domain verified and one webhook."""
    with Installation() as installation:
        yield deploy(installation, postfix, dns_server, receiver)


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """Give a sidecar that runs, and no domain."""
    with installed(Installation) as made:
        made.configure(f"unix:{made.directory}/m.sock", 53)
        made.init()
        made.start_sidecar()
        yield made
