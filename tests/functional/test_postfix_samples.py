"""The samples of contrib/postfix as they stand, in a real Postfix: each does what its README says.

`support.postfix_samples` tells which values are replaced: ports, and the place of the table.
"""

import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from support import messages, opendkim, postfix_samples
from support.authority import Authority
from support.deployment import DOMAIN, add_domain, as_submitted, delivered
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.opendkim import OpenDkim
from support.passage import SENDER, arrivals, message_id_of
from support.postfix import Listener, PrivatePostfix
from support.postfix_machine import ENVIRONMENT, program_path, run_on_terminal
from support.processes import wait_until
from support.reading import fields_of, open_images
from support.smtp_client import send
from support.smtp_sink import SinkMessage, SmtpSink

pytestmark = requires_private_postfix

OTHER_DOMAIN = "leise.example"
READERS = [f"reader{number}@reader.example" for number in range(3)]


@dataclass
class World:
    """A Postfix with one sample, and OpenClick beside it; `mx` takes mail as from the internet."""

    sample: str
    postfix: PrivatePostfix
    installation: Installation
    services: dict[str, Listener]
    mx: Listener
    signer: OpenDkim | None

    def submit(self, raw: bytes, service: str = "submission", sender: str = SENDER) -> None:
        """Submit to three readers as an app does: by TLS, with a login."""
        port, client = self.services[service].port, ssl.create_default_context()
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        session: smtplib.SMTP
        if service == "submissions":
            session = smtplib.SMTP_SSL("127.0.0.1", port, timeout=60, context=client)
        else:
            session = smtplib.SMTP("127.0.0.1", port, timeout=60)
            session.starttls(context=client)
        with session:
            session.login("app", "secret")
            assert session.sendmail(sender, READERS, raw) == {}


@pytest.fixture(scope="module", params=postfix_samples.NAMES)
def world(
    request: pytest.FixtureRequest,
    sink: SmtpSink,
    dns_server: DnsServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """Give a running one for each sample."""
    if request.param == "opendkim" and (reason := opendkim.unavailable_reason()) is not None:
        pytest.skip(reason)  # Debian's packages are missing
    issued = Authority().issue("mail.kontor.example")
    certificate = tmp_path_factory.mktemp("tls") / "mail.pem"
    certificate.write_bytes(issued.key + issued.chain)
    main_cf = {
        "smtpd_tls_chain_files": str(certificate),
        "smtpd_sasl_type": "dovecot",
        "smtpd_sasl_path": "sasl/auth",
    }
    with ExitStack() as stack:
        postfix = stack.enter_context(PrivatePostfix(sink.port, main_cf=main_cf))
        installation = stack.enter_context(Installation())
        socket = postfix.milter_socket_dir(installation.milter_uid) / "milter.sock"
        installation.configure(
            f"unix:{socket}", dns_server.port, milter={"max_message_bytes": 21_480_000}
        )
        installation.init()
        installation.start_sidecar()
        for name in (DOMAIN, OTHER_DOMAIN):
            add_domain(installation, dns_server, name, "--opens", "--clicks")
        installation.start_milter()
        signer = None
        if request.param == "opendkim":
            signing = postfix.milter_socket_dir(0, name="opendkim") / "opendkim.sock"
            signer = stack.enter_context(OpenDkim(installation.directory, signing, DOMAIN))
        mx = postfix.add_listener("mx", sasl=True)
        services = postfix_samples.put_in(postfix, request.param, {"example.com": DOMAIN})
        yield World(request.param, postfix, installation, services, mx, signer)


def copies(world: World, sink: SmtpSink, raw: bytes) -> list[SinkMessage]:
    """Wait until all of a mail has left Postfix; return what arrived."""
    wait_until(lambda: arrivals(sink, raw), 30, "the first copy")
    world.postfix.wait_for_empty_queue()
    return [message for message in sink.messages if message_id_of(raw) in message.headers_bytes]


def test_postfix_has_no_complaint(world: World) -> None:
    """Neither `postfix check` nor postconf, which tells of unknown and unused parameters."""
    where = ["-c", str(world.postfix.config_dir)]

    checked = run_on_terminal([program_path("postfix"), *where, "check"], 60)
    read = [
        subprocess.run(
            [program_path("postconf"), *where, option],
            capture_output=True,
            env=ENVIRONMENT,
            timeout=60,
            check=True,
        ).stderr
        for option in ("-n", "-M", "-P")
    ]

    assert checked == (0, "")
    assert read == [b"", b"", b""]


def test_the_command_would_write_the_same(world: World) -> None:
    """`openclick postfix` finds each line where it wants it."""
    where = ["--postfix-config", str(world.postfix.config_dir)]
    for at in world.services.values():
        where += ["--service", f"{at.host}:{at.port}/inet"]

    said = world.installation.openclick("postfix", *where).stdout

    assert "Nothing to change: the milter stands where it should." in said
    assert "FAULT" not in said


@pytest.mark.parametrize("service", ["submission", "submissions"])
def test_submissions_are_tracked(world: World, sink: SmtpSink, service: str) -> None:
    """Whole, or one copy a reader with tokens of its own; and signed as they are sent."""
    raw = messages.newsletter()

    world.submit(raw, service)
    arrived = copies(world, sink, raw)

    expected = [[name] for name in READERS] if world.sample == "per-recipient" else [READERS]
    assert sorted(list(message.recipients) for message in arrived) == expected
    images = [image for message in arrived for image in open_images(message.content)]
    assert len(images) == len(set(images)) == len(arrived)
    if world.signer is not None:
        assert is_signed(world.signer, as_submitted(arrived[0].content))


def test_the_mail_of_sendmail_is_tracked(world: World, sink: SmtpSink) -> None:
    """In one piece, whatever the sample does with submissions."""
    raw = messages.newsletter()

    world.postfix.sendmail(["-f", SENDER, *READERS], raw)
    arrived = copies(world, sink, raw)

    assert [sorted(message.recipients) for message in arrived] == [READERS]
    assert open_images(arrived[0].content)
    if world.signer is not None:
        assert is_signed(world.signer, as_submitted(arrived[0].content))


def is_signed(signer: OpenDkim, content: bytes) -> bool:
    """Tell whether a mail has one signature, which is valid."""
    names = [name.lower() for name, _ in fields_of(content)]
    return names.count("dkim-signature") == 1 and signer.key.verify(content) == "True"


def test_mail_from_the_internet_is_left_alone(world: World, sink: SmtpSink) -> None:
    """The service that is not in the sample passes no milter."""
    raw = messages.newsletter()

    sent = send(world.mx, SENDER, READERS, raw)

    assert sent.accepted
    assert as_submitted(delivered(sink, raw)) == raw


def test_a_message_may_grow_past_the_limit(world: World, sink: SmtpSink) -> None:
    """One that smtpd just accepts: its cleanup has room for what tracking adds."""
    limit = 10_240_000
    raw = mail_of(limit - 100_000)

    world.submit(raw)
    arrived = copies(world, sink, raw)

    assert len(raw) < limit < len(arrived[0].content)


def mail_of(size: int) -> bytes:
    """Return an HTML mail of this size, or a little less, with two thousand links."""
    links = "".join(f'<a href="https://shop.kontor.example/{n}">x</a>\n' for n in range(2_000))
    paragraph = "<p>" + "word " * 14 + "</p>\n"
    bare = len(messages.html_only(html=links, encoding="7bit", charset="us-ascii"))
    html = links + paragraph * ((size - bare) // (len(paragraph) + 1))
    return messages.html_only(html=html, encoding="7bit", charset="us-ascii")


def test_only_the_domains_of_the_table_are_split(world: World, sink: SmtpSink) -> None:
    """Mail of another domain is tracked in one piece."""
    raw = messages.newsletter(sender=f"News <news@{OTHER_DOMAIN}>")

    world.submit(raw, sender=f"news@{OTHER_DOMAIN}")
    arrived = copies(world, sink, raw)

    assert [sorted(message.recipients) for message in arrived] == [READERS]
    assert open_images(arrived[0].content)


def test_strangers_may_not_submit(world: World) -> None:
    """Without a login each recipient is refused, from this machine too."""
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE

    with smtplib.SMTP("127.0.0.1", world.services["submission"].port, timeout=60) as session:
        session.starttls(context=client)
        session.ehlo()
        session.mail(SENDER)
        code, _ = session.rcpt(READERS[0])

    assert code == 554
