"""The milter dies at every moment of a message: nothing is lost, doubled or cut short."""

import random
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from support import messages
from support.deployment import Deployment, as_submitted, deploy
from support.dns_server import DnsServer
from support.fixtures import requires_private_postfix
from support.installation import Installation
from support.passage import (
    HREF,
    SENDER,
    arrivals,
    large_mail,
    marks,
    message_id_of,
    undone,
    without_controls,
)
from support.postfix import Listener, PrivatePostfix
from support.processes import wait_until
from support.reading import open_images, tracking_links
from support.smtp_client import send
from support.smtp_sink import SmtpSink
from support.smtp_wire import SmtpWire, dotted
from support.webhook_receiver import WebhookReceiver

pytestmark = requires_private_postfix

COMMANDS = ["EHLO app.kontor.example", f"MAIL FROM:<{SENDER}>", "RCPT TO:<a@reader.example>"]
STAGES = ["before connect", "before MAIL", "after MAIL", "after RCPT", "after DATA", "in the body"]
CLIENTS = 8
LOAD_SECONDS = 5.0
WAITING_SECONDS = 1.5
"""How long a mail is left waiting for its row before the kill; the deadline is 5 s."""


@dataclass
class Mortal:
    """A deployment whose milter is killed, with a listener for either default action."""

    deployment: Deployment
    tempfail: Listener
    accept: Listener

    def kill(self) -> None:
        """End the milter as a power cut would."""
        milter = self.deployment.installation.milter
        assert milter is not None
        milter.kill9()
        milter.close()

    def revive(self) -> None:
        """Start it again."""
        self.deployment.installation.start_milter()


@pytest.fixture(scope="module")
def mortal(sink: SmtpSink, dns_server: DnsServer, receiver: WebhookReceiver) -> Iterator[Mortal]:
    """Give a deployment and a Postfix of this module's own."""
    with PrivatePostfix(sink.port) as postfix, Installation() as installation:
        deployment = deploy(installation, postfix, dns_server, receiver)
        strict = postfix.add_listener("strict", "unix:openclick/milter.sock", "tempfail")
        yield Mortal(deployment, strict, deployment.submission)


def killed_at(
    stage: str, mortal: Mortal, listener: Listener, raw: bytes, *, revived: bool
) -> tuple[int, str]:
    """Submit a mail slowly, kill the milter at a stage; return the first refusal or the 250.

    The milter runs again on return; with `revived` already when the client goes on.
    """
    data = dotted(raw)
    steps = [[], [], [COMMANDS[0]], [COMMANDS[1]], [COMMANDS[2]], ["DATA"]]
    at = STAGES.index(stage)
    answer = (0, "")

    def strike(now: int) -> None:
        if now == at:
            mortal.kill()
            if revived:
                mortal.revive()

    strike(0)
    with SmtpWire(listener) as client:
        answer = client.greeting
        for now, step in enumerate(steps[2:], start=1):
            if answer[0] < 400:
                answer = client.command(*step)
            strike(now)
        if answer[0] == 354:
            client.write(data[: len(data) // 2])
            strike(5)
            answer = client.say(data[len(data) // 2 :])
    if not revived:
        mortal.revive()
    return answer


class TestStages:
    """Between two events of one slow client."""

    @pytest.mark.parametrize("revived", [False, True], ids=["stays down", "comes back"])
    @pytest.mark.parametrize("stage", STAGES)
    def test_tempfail(self, mortal: Mortal, sink: SmtpSink, stage: str, revived: bool) -> None:
        """The client is told 4xx, or the mail goes through; with one more try it arrives once."""
        raw = messages.newsletter()

        code, text = killed_at(stage, mortal, mortal.tempfail, raw, revived=revived)
        if code != 250:
            again = send(mortal.tempfail, SENDER, messages.RECIPIENTS, raw)
            assert again.accepted, again.text
        mortal.deployment.postfix.wait_for_empty_queue()
        [arrived] = arrivals(sink, raw)

        assert code == 250 or 400 <= code < 500, text
        assert (1, 7) == (len(open_images(arrived)), len(tracking_links(arrived)))

    @pytest.mark.parametrize("revived", [False, True], ids=["stays down", "comes back"])
    @pytest.mark.parametrize("stage", STAGES)
    def test_accept(self, mortal: Mortal, sink: SmtpSink, stage: str, revived: bool) -> None:
        """The client notices nothing, and the mail is delivered once: as it came, or tracked."""
        raw = messages.newsletter()

        code, text = killed_at(stage, mortal, mortal.accept, raw, revived=revived)
        mortal.deployment.postfix.wait_for_empty_queue()
        [arrived] = arrivals(sink, raw)

        assert 250 == code, text
        came_back_in_time = revived and stage == "before connect"
        assert 7 * came_back_in_time == len(tracking_links(arrived))
        assert came_back_in_time or raw == as_submitted(arrived)

    def test_next_session_is_tracked_again(self, mortal: Mortal, sink: SmtpSink) -> None:
        """After the milter's return both listeners track, with no help of anybody."""
        mortal.kill()
        mortal.revive()

        mails = []
        for listener in (mortal.tempfail, mortal.accept):
            raw = messages.newsletter()
            assert send(listener, SENDER, messages.RECIPIENTS, raw).accepted
            mortal.deployment.postfix.wait_for_empty_queue()
            mails += arrivals(sink, raw)

        assert [7, 7] == [len(tracking_links(mail)) for mail in mails]


def killed_in_the_wait(mortal: Mortal, listener: Listener, raw: bytes) -> tuple[int, str]:
    """Submit a mail whose row cannot be committed, kill the milter meanwhile; return the reply.

    The milter runs again on return, and the store is free.
    """
    path = mortal.deployment.installation.state / "messages.db"
    with SmtpWire(listener) as client, closing(sqlite3.connect(path, timeout=30)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert 354 == client.command(*COMMANDS, "DATA")[0]
        client.write(dotted(raw))
        assert client.is_silent(WAITING_SECONDS)
        mortal.kill()
        answer = client.reply()
    mortal.revive()
    return answer


def outcomes(mortal: Mortal, raw: bytes) -> list[str]:
    """Return what the rows of a mail say became of it."""
    with closing(mortal.deployment.installation.store.message_reader()) as reader:
        rows = reader.many_by_message_id(message_id_of(raw).decode("ascii"))
    return [str(row.outcome) for row in rows]


class TestWaitingForTheCommit:
    """Postfix has handed everything over, the edits are computed, the row is not on disk."""

    def test_tempfail(self, mortal: Mortal, sink: SmtpSink) -> None:
        """The client is told 451 and no row is left; with one more try the mail arrives once."""
        raw = messages.newsletter()

        code, text = killed_in_the_wait(mortal, mortal.tempfail, raw)
        left = outcomes(mortal, raw)
        again = send(mortal.tempfail, SENDER, messages.RECIPIENTS, raw)
        mortal.deployment.postfix.wait_for_empty_queue()
        [arrived] = arrivals(sink, raw)

        assert 451 == code, text
        assert [] == left
        assert again.accepted, again.text
        assert (1, 7) == (len(open_images(arrived)), len(tracking_links(arrived)))
        assert ["instrumented"] == outcomes(mortal, raw)

    def test_accept(self, mortal: Mortal, sink: SmtpSink) -> None:
        """The mail is delivered once, as it came, and no row says otherwise."""
        raw = messages.newsletter()

        code, text = killed_in_the_wait(mortal, mortal.accept, raw)
        mortal.deployment.postfix.wait_for_empty_queue()
        [arrived] = arrivals(sink, raw)

        assert 250 == code, text
        assert raw == as_submitted(arrived)
        assert [] == outcomes(mortal, raw)


@dataclass
class Load:
    """Clients that submit without end, each its mail again and again until it is taken."""

    listener: Listener
    accepted: dict[bytes, bytes] = field(default_factory=dict)
    answers: Counter[int] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Submit until told to stop, and the last mail to its end."""
        while not self.stop.is_set():
            raw = large_mail()
            for _ in range(3000):
                code = send(self.listener, SENDER, messages.RECIPIENTS, raw).code
                self.answers[code] += 1
                if code == 250:
                    self.accepted[message_id_of(raw)] = raw
                    break
                self.stop.wait(0.01)  # a client that is told 451 does not come back at once


def damaged(load: Load, arrived: list[bytes]) -> list[bytes]:
    """Return what has arrived neither tracked nor as it came.

    Between the milter's edits Postfix has a mail whose control headers are gone, some or all, and
    whose body is as it came; nothing of that is damage.
    """
    return [
        content
        for content in map(as_submitted, arrived)
        if without_controls(undone(content, [HREF]))
        != without_controls(load.accepted[message_id_of(content)])
        or (marks(content) == (1, 1) and content != without_controls(content))
    ]


class TestUnderLoad:
    """Inside the end of a message, wherever the kill happens to strike."""

    def test_stopped_and_killed_while_eight_clients_send(
        self, mortal: Mortal, sink: SmtpSink
    ) -> None:
        """Under tempfail what is answered 250 arrives once, whole and tracked, and nothing else."""
        load = Load(mortal.tempfail)
        corrupt_before = mortal.deployment.postfix.corrupt_files()

        kills = _under_load(load, mortal, _strike)
        mortal.deployment.postfix.wait_for_empty_queue()
        arrived = [message.content for message in sink.messages]

        assert {250, 451} >= set(load.answers), load.answers
        assert kills >= 2
        assert load.answers[250] > CLIENTS
        assert Counter(load.accepted.keys()) == Counter(map(message_id_of, arrived))
        assert 0 == len(damaged(load, arrived))
        assert {(1, 1)} == {marks(content) for content in arrived}
        assert corrupt_before == mortal.deployment.postfix.corrupt_files()

    def test_killed_under_accept(self, mortal: Mortal, sink: SmtpSink) -> None:
        """What is answered 250 arrives once, as it came or tracked, or is a file in corrupt/.

        That is the loss which the manual tells of: only a kill inside the replacement causes it.
        Whether one strikes there is chance; `test_postfix_aimed_kills.py` leaves nothing to it.
        """
        load = Load(mortal.accept)
        corrupt_before = len(mortal.deployment.postfix.corrupt_files())

        kills = _under_load(load, mortal, _kill)
        mortal.deployment.postfix.wait_for_empty_queue()
        arrived = [message.content for message in sink.messages]
        lost = load.accepted.keys() - set(map(message_id_of, arrived))
        corrupt = len(mortal.deployment.postfix.corrupt_files()) - corrupt_before

        assert {250} == set(load.answers), load.answers
        assert kills >= 2
        assert len(lost) == corrupt
        assert len(lost) <= kills * CLIENTS
        assert Counter(load.accepted.keys() - lost) == Counter(map(message_id_of, arrived))
        assert 0 == len(damaged(load, arrived))
        assert {(1, 1), (0, 0)} >= {marks(content) for content in arrived}


def _under_load(load: Load, mortal: Mortal, strike: Callable[[Mortal, Load], None]) -> int:
    """Strike again and again while the clients send; return how often."""
    clients = [threading.Thread(target=load.run) for _ in range(CLIENTS)]
    ended = threading.Timer(LOAD_SECONDS, load.stop.set)
    kills = 0
    for thread in (*clients, ended):
        thread.start()
    while not load.stop.is_set():
        strike(mortal, load)
        kills += 1
    for client in clients:
        client.join(60)
    assert not any(client.is_alive() for client in clients)
    return kills


def _wait_for_some(load: Load) -> None:
    """Wait for a few more messages, and a moment."""
    enough = len(load.accepted) + 4
    wait_until(lambda: len(load.accepted) >= enough or load.stop.is_set(), 20.0, "4 more messages")
    load.stop.wait(random.uniform(0, 0.03))


def _kill(mortal: Mortal, load: Load) -> None:
    """Kill the milter at some moment after a few more messages, and start it again."""
    _wait_for_some(load)
    mortal.kill()
    mortal.revive()


def _strike(mortal: Mortal, load: Load) -> None:
    """Stop the milter at some moment after a few more messages, kill it, and start it again."""
    milter = mortal.deployment.installation.milter
    assert milter is not None
    _wait_for_some(load)
    milter.signal(signal.SIGSTOP)
    load.stop.wait(random.uniform(0, 0.05))
    mortal.kill()
    mortal.revive()
