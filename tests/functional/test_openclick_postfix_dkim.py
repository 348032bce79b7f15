"""`openclick postfix --apply` beside a DKIM signer: the signature fits what is sent."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support import messages, opendkim
from support.deployment import DOMAIN, add_domain, as_submitted, delivered
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.opendkim import OpenDkim
from support.passage import SENDER, arrivals
from support.postfix import Listener, PrivatePostfix
from support.processes import wait_until
from support.reading import fields_of, open_images
from support.smtp_client import send
from support.smtp_sink import SmtpSink

_missing = opendkim.unavailable_reason()

pytestmark = [
    requires_private_postfix,
    pytest.mark.skipif(_missing is not None, reason=_missing or ""),  # no OpenDKIM here to sign
]

SIGNER = "unix:dkim/opendkim.sock"
LOGIN = ("app", "secret")


@dataclass
class World:
    """A Postfix with a signer on its submission service and for sendmail(1), and no OpenClick."""

    postfix: PrivatePostfix
    installation: Installation
    submission: Listener
    signer: OpenDkim

    def command(self, *options: str) -> str:
        """Run `openclick postfix` on this Postfix."""
        where = ("--postfix-config", str(self.postfix.config_dir))
        return self.installation.openclick("postfix", *where, *options).stdout

    def is_signed_once(self, content: bytes) -> bool:
        """Tell whether a mail has one signature, which is valid."""
        names = [name.lower() for name, _ in fields_of(content)]
        return names.count("dkim-signature") == 1 and self.signer.key.verify(content) == "True"


@pytest.fixture(scope="module")
def world(sink: SmtpSink, dns_server: DnsServer) -> Iterator[World]:
    """Give it, running."""
    with (
        PrivatePostfix(sink.port, non_smtpd_milters=SIGNER) as postfix,
        Installation() as installation,
    ):
        socket = postfix.milter_socket_dir(installation.milter_uid) / "milter.sock"
        signing = postfix.milter_socket_dir(0, name="dkim") / "opendkim.sock"
        installation.configure(f"unix:{socket}", dns_server.port)
        installation.init()
        installation.start_sidecar()
        add_domain(installation, dns_server, DOMAIN, "--opens", "--clicks")
        installation.start_milter()
        with OpenDkim(installation.directory, signing, DOMAIN) as signer:
            submission = postfix.add_listener("apps", SIGNER, sasl=True)
            yield World(postfix, installation, submission, signer)


@pytest.fixture(autouse=True)
def _undone(world: World) -> Iterator[None]:
    """Take back what the test applied."""
    yield
    world.command("--undo")


def test_submissions_are_signed_as_they_are_sent(world: World, sink: SmtpSink) -> None:
    """The milter comes first in the list, so the signature covers links and image."""
    raw = messages.newsletter()
    world.command("--apply")

    send(world.submission, SENDER, messages.RECIPIENTS, raw, login=LOGIN)
    arrived = as_submitted(delivered(sink, raw))

    assert open_images(arrived)
    assert world.is_signed_once(arrived)


def test_so_is_the_mail_of_sendmail(world: World, sink: SmtpSink) -> None:
    """In non_smtpd_milters likewise."""
    raw = messages.newsletter()
    world.command("--apply")

    world.postfix.sendmail(["-f", SENDER, *messages.RECIPIENTS], raw)
    arrived = as_submitted(delivered(sink, raw))

    assert open_images(arrived)
    assert world.is_signed_once(arrived)


def test_each_copy_of_the_split_is_signed(world: World, sink: SmtpSink) -> None:
    """The signer moves to the second listener: on the first it would sign what is changed later."""
    raw = messages.newsletter()
    readers = [f"reader{number}@reader.example" for number in range(3)]
    world.command("--apply", "--per-recipient", DOMAIN)

    send(world.submission, SENDER, readers, raw, login=LOGIN)
    wait_until(lambda: len(arrivals(sink, raw)) >= 3, 30.0, "three copies")
    copies = arrivals(sink, raw)

    assert len({open_images(copy)[0] for copy in copies}) == 3
    assert [world.is_signed_once(copy) for copy in copies] == [True] * 3
