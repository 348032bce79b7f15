"""SIGUSR2: a successor takes over without a refusal, or the old milter stays (DESIGN 3.11)."""

import re
import signal
import threading

from functional.milter_process.submissions import Client, submit
from support.deployment import Deployment
from support.fixtures import requires_private_postfix
from support.processes import wait_until
from support.reading import tracking_links
from support.smtp_sink import SmtpSink

pytestmark = requires_private_postfix

HANDOVERS = 10
CLIENTS = 4


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
