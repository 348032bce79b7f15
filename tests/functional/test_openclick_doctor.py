"""`openclick doctor` on a real installation: faults are planted, and each is named.

One Postfix that `openclick postfix --apply` has set up, both daemons, a name server, a webhook
receiver.  Each test breaks one thing, looks, and mends it.
"""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import messages
from support.deployment import BROWSER, DOMAIN, TRACKING_DOMAIN, delivered
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.http_client import fetch
from support.installation import PUBLIC_HOSTNAME, Installation
from support.postfix import PrivatePostfix
from support.processes import LOOPBACK, free_port, wait_until
from support.reading import tracking_links
from support.smtp_client import send
from support.smtp_sink import SmtpSink
from support.ward import Ward, examine
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

SENDER = f"news@{DOMAIN}"
OURS = "{unix:openclick/milter.sock,default_action=accept}"
CLICKS = 6


@pytest.fixture(scope="module")
def running(sink: SmtpSink, dns_server: DnsServer, receiver: WebhookReceiver) -> Iterator[Ward]:
    """Give the installation, set up and running."""
    with PrivatePostfix(sink.port) as postfix, Installation() as installation:
        socket_path = postfix.milter_socket_dir(installation.milter_uid) / "milter.sock"
        installation.configure(f"unix:{socket_path}", dns_server.port)
        listener = postfix.add_listener("apps", sasl=True, chroot=True)
        ward = Ward(postfix, installation, dns_server, listener)
        ward.set_up()
        installation.openclick("webhook", "add", f"http://{LOOPBACK}:{receiver.port}/events")
        yield ward


@pytest.fixture
def ward(running: Ward) -> Ward:
    """Give it with its names published, which each test begins without."""
    running.publish()
    return running


@contextmanager
def serving(address: str | tuple[str, int], said: bytes) -> Iterator[None]:
    """Have a program that is not ours say something to whoever connects."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        if isinstance(address, str):
            os.chmod(address, 0o777)
        listening.listen()
        thread = threading.Thread(target=_say, args=(listening, said))
        thread.start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _say(listening: socket.socket, said: bytes) -> None:
    while True:
        try:
            peer, _ = listening.accept()
        except OSError:
            return
        with peer:
            peer.sendall(said)
            peer.settimeout(5)
            peer.recv(1024)


def test_all_is_well(ward: Ward) -> None:
    """But for what this machine lacks: a kept clock, and an address on the internet."""
    looked = ward.examine()

    assert looked.bad("fault") == []
    assert {check for check, _ in looked.bad("warning")} <= {"clock", "dns"}
    assert looked.status == 1


def test_postfix_may_not_enter_the_sockets_directory(ward: Ward) -> None:
    """Tried as the user postfix, chrooted and not."""
    directory = ward.postfix.queue_dir / "openclick"
    with ward.mode(directory, 0o2700):
        looked = ward.examine()

    assert looked.status == 3
    for line in looked.faults("milter-socket"):
        assert f"may not enter {directory}: Permission denied" in line
    assert len(looked.faults("milter-socket")) == 2


def test_postfix_may_not_write_to_the_socket(ward: Ward) -> None:
    """The socket's own rights."""
    with ward.mode(ward.postfix.queue_dir / "openclick" / "milter.sock", 0o700):
        lines = ward.examine().faults("milter-socket")

    assert "user postfix may not connect to unix:" in lines[0]
    assert "chroot" in lines[1]


def test_a_chrooted_smtpd_is_told_a_whole_path(ward: Ward) -> None:
    """It is the right file, but not from within the chroot."""
    path = f"unix:{ward.postfix.queue_dir}/openclick/milter.sock"
    with ward.changed(("-P", f"{ward.service}/smtpd_milters={path}")):
        (line,) = ward.examine().faults("milter-socket")

    assert "user postfix (in the chroot) finds no" in line


def test_another_program_at_the_socket(ward: Ward) -> None:
    """It takes the connection and is no milter."""
    path = ward.postfix.queue_dir / "openclick" / "milter.sock"
    aside = path.with_name("aside")
    path.rename(aside)
    try:
        with serving(str(path), b"220 mail ESMTP\r\n"):
            lines = ward.examine().faults("milter-socket")
    finally:
        aside.replace(path)

    assert all("is no milter: the answer begins with b'220 mail'" in line for line in lines)
    assert len(lines) == 2


def test_the_milter_is_killed(ward: Ward) -> None:
    """Its socket file stays, its heartbeat is fresh."""
    milter = ward.installation.milter
    assert milter is not None
    os.kill(milter.pid, signal.SIGKILL)
    milter.close()
    looked = ward.examine()
    ward.installation.start_milter()

    assert "does not answer user postfix: Connection refused" in looked.faults("milter-socket")[0]
    assert f"its pid {milter.pid} is not seen" in looked.warnings("milter")[0]
    assert ward.examine().bad("fault") == []


def test_the_sidecar_is_stopped_and_its_port_taken(ward: Ward) -> None:
    """Once nobody listens there, once another program does, which is named."""
    sidecar = ward.installation.sidecar
    assert sidecar is not None
    sidecar.close()
    stopped = ward.examine()
    answer = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 2\r\n\r\nhi"
    with serving((LOOPBACK, ward.installation.hit_port), answer):
        taken = ward.examine()
    with serving((LOOPBACK, ward.installation.api_port), answer):
        api_taken = ward.examine()
    ward.installation.start_sidecar()

    assert "answers nowhere" in stopped.faults("sidecar")[0]
    assert "no answer: Connection refused" in stopped.faults("ports")[0]
    assert "no answer: Connection refused" in stopped.faults("self-fetch")[0]
    assert f"[{os.getpid()}] holds: status 200 from nginx" in taken.faults("ports")[0]
    assert "another server answers: status 200 from nginx" in taken.faults("self-fetch")[0]
    [of_the_api] = [text for text in api_taken.faults("ports") if "api.listen" in text]
    assert f"[{os.getpid()}] holds: status 200 from nginx" in of_the_api


@pytest.mark.parametrize(
    ("check", "call", "found"),
    [
        (
            "milter-order",
            f"smtpd_milters=inet:127.0.0.1:8891,{OURS}",
            "inet:127.0.0.1:8891 comes before OpenClick",
        ),
        ("default-action", f"smtpd_milters={OURS.replace('accept', 'reject')}", "=reject"),
        ("submission", "smtpd_milters=inet:127.0.0.1:8891", "does not ask the milter"),
        ("submission", "smtpd_milters=unix:openclick/old.sock", "but the milter listens at"),
        ("submission", "receive_override_options=no_milters", "has no_milters"),
        ("message-size", "cleanup_service_name=cleanup", "gets a permanent 552"),
    ],
)
def test_a_fault_of_the_service(ward: Ward, check: str, call: str, found: str) -> None:
    """As postconf writes it into master.cf, and postconf reads it."""
    small = ("-e", "message_size_limit=5000000")
    with ward.changed(small, ("-P", f"{ward.service}/{call}")):
        looked = ward.examine()

    assert looked.status == 3
    assert any(found in line for line in looked.faults(check)), looked.bad("fault")


def test_app_servers_that_are_not_trusted(ward: Ward) -> None:
    """Postfix relays for them without a login."""
    with ward.changed(("-e", "mynetworks=127.0.0.0/8 10.9.0.0/16")):
        (line,) = ward.examine().warnings("trust")

    assert (
        '-> where these are your app servers, set milter.trusted_networks = ["10.9.0.0/16"]' in line
    )


def test_the_split_goes_round(ward: Ward) -> None:
    """The second listener inherits main.cf's content_filter, and the recipient limit is gone."""
    entry = f"{LOOPBACK}:10587 inet n - n - - smtpd -o milter_macro_daemon_name=openclick-inject"
    with ward.changed(
        ("-e", f"content_filter=oc_split:[{LOOPBACK}]:10587"),
        ("-M", f"{LOOPBACK}:10587/inet={entry} -o smtpd_milters=unix:openclick/milter.sock"),
    ):
        lines = ward.examine().faults("reinjection")

    assert "content_filter is oc_split:[127.0.0.1]:10587 here too" in lines[0]
    assert "oc_split_destination_recipient_limit is not 1" in lines[1]
    assert "there is no oc_split" in lines[2]


def test_mail_in_corrupt(ward: Ward) -> None:
    """A queue file that Postfix could not read."""
    path = ward.postfix.queue_dir / "corrupt" / "4cPb2F6Gjqz1"
    path.write_bytes(b"?")
    (line,) = ward.examine().faults("corrupt")
    path.unlink()

    assert "1 queue files were set aside as corrupt: 4cPb2F6Gjqz1" in line


def test_no_postfix_there(ward: Ward, tmp_path: Path) -> None:
    """A directory without main.cf; postconf's own words are passed on."""
    looked = examine(ward.installation, "--postfix-config", str(tmp_path))

    assert "main.cf" in looked.faults("postfix")[0]


def test_the_tracking_domain_is_gone_from_dns(ward: Ward) -> None:
    """Verified before; its links lead nowhere now."""
    ward.dns.set_rcode(TRACKING_DOMAIN, "NXDOMAIN")
    (line,) = ward.examine().faults("dns")

    assert f"{TRACKING_DOMAIN}: does not exist" in line
    assert f"publish: {TRACKING_DOMAIN}. CNAME {PUBLIC_HOSTNAME}." in line


def test_the_tracking_domain_points_elsewhere(ward: Ward) -> None:
    """As after a move."""
    ward.dns.remove(TRACKING_DOMAIN)
    ward.dns.set(TRACKING_DOMAIN, "A", "127.0.0.9")
    looked = ward.examine()

    assert "points to 127.0.0.9, not here" in looked.faults("dns")[0]


def test_the_name_server_fails(ward: Ward) -> None:
    """That is said, and proves nothing against the domain."""
    ward.dns.set_rcode(TRACKING_DOMAIN, "SERVFAIL")
    looked = ward.examine()

    assert looked.faults("dns") == []
    assert any("no name server answered" in line for line in looked.warnings("dns"))


def test_a_domain_whose_check_fails(ward: Ward) -> None:
    """Not verified any more: its mail is not tracked, and the code of the failure is told."""
    ward.dns.set_rcode(TRACKING_DOMAIN, "NXDOMAIN")
    ward.installation.openclick("domain", "verify", DOMAIN, check=False)
    looked = ward.examine()
    ward.dns.set_rcode(TRACKING_DOMAIN, None)
    ward.installation.openclick("domain", "verify", DOMAIN)

    lines = looked.faults("domains") + looked.warnings("domains")
    assert "[name_not_found]" in lines[0]


def test_all_hits_from_one_private_address(ward: Ward, sink: SmtpSink) -> None:
    """As behind a proxy that is not trusted; and the sidecar judges them in time."""
    raw = messages.newsletter()
    sent = send(ward.listener, SENDER, messages.RECIPIENTS, raw, login=("app", "secret"))
    assert sent.accepted, sent.text
    link = tracking_links(delivered(sink, raw))[0]
    for _ in range(CLICKS):
        fetch(link, (LOOPBACK, ward.installation.hit_port), {"User-Agent": BROWSER})
    (line,) = ward.examine().faults("client-address")

    assert f"all of the newest {CLICKS} come from 127.0.0.1, a private address" in line
    assert 'trusted_proxies = ["127.0.0.1/32"]' in line


def test_a_webhook_that_fails(ward: Ward, sink: SmtpSink) -> None:
    """Nobody listens at its address."""
    url = f"http://{LOOPBACK}:{free_port()}/events"
    webhook = ward.installation.openclick_json("webhook", "add", url)["id"]
    raw = messages.newsletter()
    send(ward.listener, SENDER, messages.RECIPIENTS, raw, login=("app", "secret"))
    link = tracking_links(delivered(sink, raw))[0]
    fetch(link, (LOOPBACK, ward.installation.hit_port), {"User-Agent": BROWSER})
    try:
        lines = wait_until(lambda: ward.examine().warnings("webhooks"), 60, "a failed attempt")
        ward.installation.openclick("webhook", "update", webhook, "--status", "disabled")
        disabled = ward.examine().warnings("webhooks")
    finally:
        ward.installation.openclick("webhook", "remove", webhook)

    assert f"{webhook} {url}: the last" in lines[0]
    assert any("is disabled and skips events" in line for line in disabled)
