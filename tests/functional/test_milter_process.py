"""The milter as a process: hand-over, reload, drain, heartbeat (DESIGN 3.11)."""

import dataclasses
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openclick.messages import Outcome
from support import messages
from support.deployment import DOMAIN, Deployment, as_submitted, delivered, deploy
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.postfix import PrivatePostfix
from support.processes import DaemonError, wait_until
from support.reading import open_images, tracking_links
from support.smtp_client import SmtpSession, send
from support.smtp_sink import SmtpSink
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

HANDOVERS = 10
CLIENTS = 4


@pytest.fixture(scope="module")
def running(
    postfix: PrivatePostfix, dns_server: DnsServer, receiver: WebhookReceiver
) -> Iterator[Deployment]:
    """Give a deployment of this module's own, whose milter is signalled about."""
    with Installation() as installation:
        yield deploy(installation, postfix, dns_server, receiver, name="process")


def submit(deployment: Deployment, sink: SmtpSink, **fields: object) -> tuple[bytes, bytes]:
    """Submit a newsletter; return it as it was sent and as it arrived."""
    raw = messages.newsletter(**fields)  # type: ignore[arg-type]
    sent = send(deployment.submission, f"news@{DOMAIN}", messages.RECIPIENTS, raw)
    assert sent.accepted, sent.text
    return raw, delivered(sink, raw)


def hand_over(deployment: Deployment) -> None:
    """Have the milter start its successor, and follow that one."""
    milter = deployment.installation.milter
    assert milter is not None
    seen = len(milter.log_text())
    milter.signal(signal.SIGUSR2)
    match = wait_until(
        lambda: re.search(r"handed over successor=(\d+)", milter.log_text()[seen:]), 20, "successor"
    )
    assert match is not None
    milter.follow(int(match[1]))


class Client(threading.Thread):
    """Sends mail until told to stop, and keeps what was refused."""

    def __init__(
        self,
        deployment: Deployment,
        stop: threading.Event,
        *,
        keeps: bool,
        per_session: int = 50,
    ) -> None:
        super().__init__(daemon=True)
        self.deployment, self.stop = deployment, stop
        self.per_session = per_session if keeps else 1
        self.sent: list[bytes] = []
        self.refused: list[str] = []

    def run(self) -> None:
        """Send: a connection a message, or many messages a connection."""
        while not self.stop.is_set():
            with SmtpSession(self.deployment.submission) as session:
                for _ in range(self.per_session):
                    raw = messages.newsletter()
                    result = session.send(f"news@{DOMAIN}", messages.RECIPIENTS, raw)
                    (self.sent if result.accepted else self.refused).append(
                        raw if result.accepted else result.text  # type: ignore[arg-type]
                    )
                    if self.stop.is_set():
                        break


def test_ten_handovers_under_load_refuse_nothing_and_track_everything(
    running: Deployment, sink: SmtpSink
) -> None:
    """Four clients send all the while; every mail is accepted and arrives tracked, once."""
    stop = threading.Event()
    clients = [Client(running, stop, keeps=place == 0) for place in range(CLIENTS)]
    for client in clients:
        client.start()

    try:
        for _ in range(HANDOVERS):
            before = sum(len(client.sent) for client in clients)
            hand_over(running)
            wait_until(
                lambda b=before: sum(len(c.sent) for c in clients) > b + 5, 20, "mail to flow"
            )
    finally:
        stop.set()
        for client in clients:
            client.join(30)
    sent = [raw for client in clients for raw in client.sent]
    arrived = [message.content for message in sink.wait_for(len(sent), timeout=60)]

    assert [] == [text for client in clients for text in client.refused]
    assert len(sent) == len(arrived)
    assert {7} == {len(tracking_links(content)) for content in arrived}
    ids = [re.search(rb"(?m)^Message-ID: (\S+)", raw)[1] for raw in sent]  # type: ignore[index]
    assert len(ids) == len({re.search(rb"(?m)^Message-ID: (\S+)", c)[1] for c in arrived})  # type: ignore[index]


def test_successor_with_a_fault_leaves_the_old_milter_in_place(
    running: Deployment, sink: SmtpSink
) -> None:
    """A configuration that a fresh start refuses costs nothing: the old one goes on and says so."""
    good = running.installation.config_path.read_text()
    assert running.installation.milter is not None
    pid = running.installation.milter.pid

    running.installation.config_path.write_text(good + "\n[nonsense]\n")
    running.installation.milter.signal(signal.SIGUSR2)
    wait_until(lambda: "no hand-over: the successor ended" in running.milter_log(), 20, "the line")
    running.installation.config_path.write_text(good)
    _, arrived = submit(running, sink)

    assert "ended with status 78; this process stays" in running.milter_log()
    assert pid == running.installation.milter.pid
    assert running.installation.milter.running
    assert 7 == len(tracking_links(arrived))


class TestReload:
    """SIGHUP."""

    def test_new_settings_hold_for_the_next_message(
        self, running: Deployment, sink: SmtpSink
    ) -> None:
        """Another header prefix is obeyed after SIGHUP, without a restart."""
        before = self._rewrite(running, 'header_prefix = "X-Acme-"')

        _, arrived = submit(running, sink, headers={"X-Acme-Track-Clicks": "no"})
        self._put_back(running, before)

        assert (1, 0) == (len(open_images(arrived)), len(tracking_links(arrived)))
        assert b"X-Acme-" not in arrived

    def test_broken_settings_change_nothing_and_are_named(
        self, running: Deployment, sink: SmtpSink
    ) -> None:
        """One line a fault; the old settings hold."""
        good = running.installation.config_path.read_text()

        running.installation.config_path.write_text(good + "\n[retention]\nmessages_days = 0\n")
        self._hang_up(running, "the settings stay as they were")
        _, arrived = submit(running, sink)
        running.installation.config_path.write_text(good)

        assert "retention.messages_days = 0: need a whole number from 1" in running.milter_log()
        assert 7 == len(tracking_links(arrived))

    def test_option_that_needs_a_restart_is_named(
        self, running: Deployment, sink: SmtpSink
    ) -> None:
        """Another store address is not taken at run time; the log says which option waits."""
        good = running.installation.config_path.read_text()
        changed = re.sub(r'url = "sqlite:[^"]*"', 'url = "sqlite:/elsewhere"', good)

        running.installation.config_path.write_text(changed)
        self._hang_up(running, "store.url has changed: restart needed")
        _, arrived = submit(running, sink)
        self._put_back(running, good)

        assert 7 == len(tracking_links(arrived))

    def test_keys_that_cannot_be_read_any_more_change_nothing(
        self, running: Deployment, sink: SmtpSink
    ) -> None:
        """A key file cut short: the keys that are held go on sealing, and the file is named."""
        broken = running.installation.state / "keys" / "200.v1.key"
        broken.write_text("short\n")

        self._hang_up(running, "keys and settings stay as they were")
        _, arrived = submit(running, sink)
        broken.unlink()

        assert f"keys: {broken}: " in running.milter_log()
        assert 7 == len(tracking_links(arrived))

    def _rewrite(self, deployment: Deployment, line: str) -> str:
        good = deployment.installation.config_path.read_text()
        deployment.installation.config_path.write_text(
            good.replace("[milter]\n", f"[milter]\n{line}\n")
        )
        self._hang_up(deployment, "settings: read again")
        return good

    def _put_back(self, deployment: Deployment, good: str) -> None:
        deployment.installation.config_path.write_text(good)
        self._hang_up(deployment, "settings: read again")

    def _hang_up(self, deployment: Deployment, expected: str) -> None:
        seen = len(deployment.milter_log())
        assert deployment.installation.milter is not None
        deployment.installation.milter.signal(signal.SIGHUP)
        wait_until(lambda: expected in deployment.milter_log()[seen:], 10, expected)


def test_stop_serves_open_sessions_to_their_end(running: Deployment, sink: SmtpSink) -> None:
    """SIGTERM while a client is between two messages: its next message is still tracked."""
    milter = running.installation.milter
    assert milter is not None
    first, second = messages.newsletter(), messages.newsletter()

    with SmtpSession(running.submission) as session:
        session.send(f"news@{DOMAIN}", messages.RECIPIENTS, first)
        milter.signal(signal.SIGTERM)
        wait_until(lambda: not _socket_of(running).exists(), 5, "the socket to go")
        result = session.send(f"news@{DOMAIN}", messages.RECIPIENTS, second)
    milter.wait(10)
    log = milter.log_text()
    running.installation.start_milter()

    assert result.accepted
    assert f"milter: stopped pid={milter.pid}" in log
    assert 7 == len(tracking_links(delivered(sink, second)))


def test_sessions_that_never_end_are_cut_between_two_messages(
    postfix: PrivatePostfix, dns_server: DnsServer, receiver: WebhookReceiver, sink: SmtpSink
) -> None:
    """The process's patience has an end, a message under way has its own: nothing is damaged.

    With default_action=accept, a milter that ends inside the replacement loses mail that Postfix
    has said 250 to (DESIGN 3.10).  The patience is a second here, the milter otherwise as it is.
    """
    with Installation() as installation:
        corrupt_before = postfix.corrupt_files()
        impatient = "import openclick_milter.main as m; m._STOP_SECONDS = 1.0; m.main()"
        python, *_ = installation.programs.milter
        installation.programs = dataclasses.replace(
            installation.programs, milter=(python, "-P", "-c", impatient)
        )
        running = deploy(installation, postfix, dns_server, receiver, name="cut")
        milter, stop = installation.milter, threading.Event()
        assert milter is not None
        clients = [Client(running, stop, keeps=True, per_session=100_000) for _ in range(3)]
        for client in clients:
            client.start()
        wait_until(lambda: all(len(client.sent) > 5 for client in clients), 20, "mail to flow")

        milter.signal(signal.SIGTERM)
        milter.wait(20)
        stop.set()
        for client in clients:
            client.join(30)
        sent = [raw for client in clients for raw in client.sent]
        arrived = sink.wait_for(len(sent), timeout=60)
        log = milter.log_text()

    assert "milter: open sessions are cut sessions=3 idle=yes" in log
    assert len(sent) == len(arrived)
    assert {0, 7} >= {len(tracking_links(message.content)) for message in arrived}
    assert corrupt_before == postfix.corrupt_files()


class TestSecondMilter:
    """Started by mistake beside one that serves."""

    def test_it_is_refused_in_one_line(self, running: Deployment) -> None:
        """Exit status 69; whoever it would have pushed aside would run on, unreachable."""
        installation = running.installation
        first = installation.milter

        with pytest.raises(DaemonError, match="another milter answers there; not started"):
            installation.start_milter()
        installation.milter = first

    def test_the_first_one_goes_on(self, running: Deployment, sink: SmtpSink) -> None:
        """Its socket is where it was."""
        _, arrived = submit(running, sink)

        assert 7 == len(tracking_links(arrived))


def test_heartbeat_and_counters_stand_in_the_store(running: Deployment, sink: SmtpSink) -> None:
    """The row names the running process and counts what it did."""
    assert running.installation.milter is not None
    submit(running, sink)

    reader = running.installation.store.message_reader()
    beat = wait_until(
        lambda: (
            (found := reader.maybe_heartbeat())
            and found.pid == running.installation.milter.pid
            and found.counters.get("instrumented", 0) > 0
            and found
        ),
        15,
        "a heartbeat that counts the mail",
    )
    reader.close()

    assert beat.counters["links"] == 7 * beat.counters["instrumented"]
    assert beat.started_at <= beat.beat_at


class TestSystemd:
    """What goes to NOTIFY_SOCKET; the unit has Type=notify and NotifyAccess=all."""

    @pytest.fixture
    def told(self) -> Iterator[tuple[Installation, Callable[[], list[str]]]]:
        """Give a started installation and a function that returns the next notification."""
        with (
            Installation() as installation,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening,
        ):
            address = installation.directory / "notify"
            listening.bind(str(address))
            address.chmod(0o777)
            listening.settimeout(20)
            directory = installation.directory / "run"
            directory.mkdir()
            directory.chmod(0o777)
            installation.configure(f"unix:{directory}/m.sock", 53)
            installation.init()
            installation.extra_env["NOTIFY_SOCKET"] = str(address)
            installation.start_milter()

            def next_states() -> list[str]:
                # Signs of life come in between, whenever the writer thread goes round.
                while (states := listening.recv(1000).decode().splitlines()) == ["WATCHDOG=1"]:
                    pass
                return states

            yield installation, next_states

    def test_start_and_end(self, told: tuple[Installation, Callable[[], list[str]]]) -> None:
        """READY=1 and MAINPID once Postfix can connect, STOPPING=1 at the end."""
        installation, next_states = told
        milter = installation.milter
        assert milter is not None

        states = next_states()
        milter.terminate()

        assert [f"MAINPID={milter.pid}", "READY=1"] == states
        assert ["STOPPING=1"] == next_states()

    def test_hand_over(self, told: tuple[Installation, Callable[[], list[str]]]) -> None:
        """RELOADING=1 from the old process, MAINPID and READY=1 from the new one."""
        installation, next_states = told
        milter = installation.milter
        assert milter is not None
        next_states()

        milter.signal(signal.SIGUSR2)
        begun, done = next_states(), next_states()
        milter.wait(20)
        successor = int(done[0].removeprefix("MAINPID="))
        milter.follow(successor)

        assert "RELOADING=1" == begun[0]
        assert re.fullmatch(r"MONOTONIC_USEC=\d+", begun[1])
        assert [f"MAINPID={successor}", "READY=1"] == done

    def test_hand_over_that_fails(self, told: tuple[Installation, Callable[[], list[str]]]) -> None:
        """READY=1 from the old process, which stays the main one."""
        installation, next_states = told
        assert installation.milter is not None
        next_states()
        installation.config_path.write_text("nonsense = 1\n")

        installation.milter.signal(signal.SIGUSR2)
        states = [next_states(), next_states()]

        assert "RELOADING=1" == states[0][0]
        assert ["READY=1"] == states[1]


class TestSameMail:
    """Mail that already carries tokens of ours (DESIGN 3.6)."""

    def test_the_same_mail_coming_round_is_left_alone(
        self, running: Deployment, sink: SmtpSink
    ) -> None:
        """Re-submitted with its Message-ID it leaves as it came: no second image, same links."""
        raw, once = submit(running, sink)
        again = as_submitted(once)
        sink.clear()

        sent = send(running.submission, f"news@{DOMAIN}", messages.RECIPIENTS, again)
        twice = delivered(sink, raw)

        assert again == as_submitted(twice)
        reader = running.installation.store.message_reader()
        [row] = wait_until(lambda: reader.many_by_queue_id(str(sent.queue_id)), 5, "the row")
        reader.close()
        assert Outcome.UNTOUCHED is row.outcome
        assert "the same mail comes round again" in row.reason

    def test_a_reply_that_quotes_a_tracked_mail_gets_its_own_image(
        self, running: Deployment, sink: SmtpSink
    ) -> None:
        """The quoted links and image stay as they are; new links are tracked."""
        _, once = submit(running, sink)
        [quoted_image] = open_images(once)
        quoted_link = tracking_links(once)[0]
        html = (
            f'<html><body><a href="https://new.example/">new</a><blockquote>'
            f'<a href="{quoted_link}">old</a><img src="{quoted_image}" width="1" height="1" alt="">'
            f"</blockquote></body></html>"
        )

        _, reply = submit(running, sink, html=html)

        assert 2 == len(open_images(reply))
        assert quoted_image in open_images(reply)
        assert quoted_link == tracking_links(reply)[1]
        assert tracking_links(reply)[0] not in tracking_links(once)


def test_vendor_headers_are_understood_and_removed(running: Deployment, sink: SmtpSink) -> None:
    """With vendor_headers on, X-PM-TrackOpens and X-MC-Track steer; ours win over them."""
    reload = TestReload()
    good = reload._rewrite(running, "vendor_headers = true")

    _, postmark = submit(running, sink, headers={"X-PM-TrackOpens": "false", "X-PM-Tag": "spring"})
    _, mandrill = submit(running, sink, headers={"X-MC-Track": "opens"})
    _, ours = submit(
        running, sink, headers={"X-PM-TrackOpens": "false", "X-Anypost-Track-Opens": "true"}
    )
    reload._put_back(running, good)

    assert (0, 7) == (len(open_images(postmark)), len(tracking_links(postmark)))
    assert (1, 0) == (len(open_images(mandrill)), len(tracking_links(mandrill)))
    assert 1 == len(open_images(ours))
    assert b"X-PM-" not in postmark
    assert b"X-MC-" not in mandrill


def _socket_of(deployment: Deployment) -> Path:
    return deployment.postfix.queue_dir / "process" / "milter.sock"
