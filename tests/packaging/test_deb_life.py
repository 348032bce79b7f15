"""A package's life on a machine: used, upgraded under load, removed, purged, back again.

Each test goes on where the one before it ended; the first begins with nothing of ours there.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from support import messages
from support.deployment import BROWSER, delivered, signed_events
from support.http_client import fetch
from support.packaged_machine import MILTER, SETTINGS, PackagedMachine
from support.processes import LOOPBACK, wait_until
from support.reading import open_images, tracking_links
from support.smtp_client import SmtpSession, send

PORT_80 = (LOOPBACK, 80)


def mail_in(machine: PackagedMachine, name: str) -> tuple[str, bytes]:
    """Send a newsletter; return its Message-ID and how it arrived."""
    message_id = f"<{name}@kontor.example>"
    raw = messages.newsletter(message_id=message_id)
    result = send(machine.listener, "news@kontor.example", messages.RECIPIENTS, raw)
    assert result.accepted, result
    return message_id, delivered(machine.sink, raw, timeout=60)


def open_and_click(content: bytes) -> str:
    """Fetch the image and the second link of a mail, as a reader does; return the destination."""
    agent = {"User-Agent": BROWSER}
    assert fetch(open_images(content)[0], PORT_80, agent, timeout=60).status == 200
    clicked = fetch(tracking_links(content)[1], PORT_80, agent, timeout=60)
    assert clicked.status == 302, clicked
    return str(clicked.header("location"))


class Traffic:
    """What a thread of `under_load` has seen."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.faults: list[str] = []
        self.fetched = 0


@contextmanager
def under_load(machine: PackagedMachine, link: str) -> Iterator[Traffic]:
    """Send mail over two sessions and click one link again and again, until the block ends."""
    traffic, stop = Traffic(), threading.Event()

    def send_mails(sender: int) -> None:
        with SmtpSession(machine.listener) as session:
            number = 0
            while not stop.wait(0.02):
                number += 1
                message_id = f"<load.{sender}.{number}@kontor.example>"
                raw = messages.newsletter(message_id=message_id)
                result = session.send("news@kontor.example", messages.RECIPIENTS, raw)
                if result.accepted:
                    traffic.sent.append(message_id)
                else:
                    traffic.faults.append(str(result))

    def click() -> None:
        while not stop.wait(0.02):
            status = fetch(link, PORT_80, {"User-Agent": BROWSER}, timeout=60).status
            traffic.fetched += 1
            if status != 302:
                traffic.faults.append(f"a click got {status}")

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - it would end unseen with its thread
            traffic.faults.append(repr(error))

    works = [lambda: send_mails(1), lambda: send_mails(2), click]
    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield traffic
    finally:
        stop.set()
        for thread in threads:
            thread.join(120)


def test_a_tracked_mail_an_open_a_click_and_the_webhook(machine: PackagedMachine) -> None:
    """The build that upgrades begin from does all of its work; its links are kept for later."""
    machine.install("previous")
    secret = machine.set_up()

    message_id, content = mail_in(machine, "before")
    destination = open_and_click(content)
    events = signed_events(machine.receiver, secret, message_id, 2, timeout=60)

    assert destination == messages.TRACKED_LINKS[1]
    assert {event["type"] for event in events} == {"email.opened", "email.clicked"}
    (machine.root / "srv" / "before.eml").write_bytes(content)
    (machine.root / "srv" / "secret").write_text(secret, "ascii")


def test_an_upgrade_with_mail_in_flight(machine: PackagedMachine) -> None:
    """No mail is refused or untracked, no click lost; edits stay, the store is migrated once."""
    settings = (machine.root / SETTINGS[1:]).read_text("utf-8")
    old_link = tracking_links((machine.root / "srv/before.eml").read_bytes())[1]
    old_pid = machine.service("openclick-milter", "MainPID")
    schema_before = machine.schemas()["openclick.db"]
    hand_overs = machine.journal("openclick-milter").count("handed over")

    with under_load(machine, old_link) as traffic:
        wait_until(lambda: len(traffic.sent) > 20 or traffic.faults, 60, "mail in flight")
        said = machine.install("current")
        wait_until(
            lambda: machine.service("openclick-milter", "MainPID") != old_pid, 60, "the hand-over"
        )
        seen = len(traffic.sent)
        wait_until(lambda: len(traffic.sent) > seen + 20 or traffic.faults, 60, "mail afterwards")

    assert traffic.faults == []
    assert traffic.fetched > 20
    untracked = [
        message_id
        for message_id in traffic.sent
        if not tracking_links(arrived(machine, message_id))
    ]
    assert untracked == []
    assert settings == (machine.root / SETTINGS[1:]).read_text("utf-8")
    schema_after = machine.schemas()["openclick.db"]
    told = f"openclick: openclick.db: schema {schema_before} -> {schema_after}"
    assert said.count("openclick.db: schema") == said.count(told) == (schema_after > schema_before)
    assert machine.journal("openclick-milter").count("handed over") == hand_overs + 1


def arrived(machine: PackagedMachine, message_id: str) -> bytes:
    """Wait for a mail that was accepted; return it."""
    raw = f"Message-ID: {message_id}\r\n".encode()
    return delivered(machine.sink, raw, timeout=60)


def test_after_the_upgrade(machine: PackagedMachine) -> None:
    """Old links open, new mail is tracked, and both are events."""
    secret = (machine.root / "srv" / "secret").read_text("ascii")
    machine.configure()
    machine.shell("systemctl restart openclick-sidecar")

    old = open_and_click((machine.root / "srv/before.eml").read_bytes())
    message_id, content = mail_in(machine, "after")
    new = open_and_click(content)
    events = signed_events(machine.receiver, secret, message_id, 2, timeout=60)

    assert [old, new] == [messages.TRACKED_LINKS[1]] * 2
    assert {event["type"] for event in events} == {"email.opened", "email.clicked"}


def test_the_watchdog_is_fed_after_a_hand_over(machine: PackagedMachine) -> None:
    """By the successor, whose signs systemd takes although it started another process."""
    name = "WatchdogTimestampMonotonic"
    before = int(machine.service("openclick-milter", name))

    wait_until(
        lambda: int(machine.service("openclick-milter", name)) > before, 60, "a sign of life", 0.5
    )

    assert machine.service("openclick-milter", "NRestarts") == "0"


def test_a_killed_successor_is_started_again(machine: PackagedMachine) -> None:
    """Although systemd was not its parent: mail is tracked again within seconds."""
    pid = machine.service("openclick-milter", "MainPID")

    machine.shell(f"kill -9 {pid}")
    wait_until(
        lambda: (
            machine.service("openclick-milter", "NRestarts") == "1"
            and machine.is_active("openclick-milter")
        ),
        60,
        "a restart",
    )

    _, content = mail_in(machine, "after-a-kill")
    assert tracking_links(content) != []


def test_removed(machine: PackagedMachine) -> None:
    """Settings and store stay, nothing runs, and mail flows although Postfix names the milter."""
    machine.remove()

    raw = messages.newsletter(message_id="<removed@kontor.example>")
    result = send(machine.listener, "news@kontor.example", messages.RECIPIENTS, raw)
    content = delivered(machine.sink, raw, timeout=60)

    assert result.accepted
    assert tracking_links(content) == []
    assert machine.shell("ps -eo args | grep '[/]usr/bin/openclick' || true") == ""
    assert (machine.root / SETTINGS[1:]).exists()
    assert (machine.root / "var/lib/openclick/openclick.db").exists()


def test_removed_where_postfix_waits_for_the_milter(machine: PackagedMachine) -> None:
    """What README warns of: with tempfail no mail is taken, until Postfix is told otherwise."""
    strict = MILTER.replace("accept", "tempfail")
    raw = messages.newsletter(message_id="<strict@kontor.example>")

    machine.shell(f"postconf -e 'smtpd_milters = {strict}'; systemctl restart postfix")
    refused = send(machine.listener, "news@kontor.example", messages.RECIPIENTS, raw)
    machine.shell(f"postconf -e 'smtpd_milters = {MILTER}'; systemctl restart postfix")
    taken = send(machine.listener, "news@kontor.example", messages.RECIPIENTS, raw)

    assert refused.code // 100 == 4
    assert taken.accepted


def test_installed_again(machine: PackagedMachine) -> None:
    """Everything is as it was: the domain is tracked at once, and old links open."""
    machine.install("current")

    old = open_and_click((machine.root / "srv/before.eml").read_bytes())
    _, content = mail_in(machine, "again")

    assert old == messages.TRACKED_LINKS[1]
    assert tracking_links(content) != []


def test_purged(machine: PackagedMachine) -> None:
    """Settings, store and socket directory are gone; the link keys stay, and it says where."""
    said = machine.remove(purge=True)

    state = machine.root / "var/lib/openclick"
    assert "the link keys stay in /var/lib/openclick/keys" in said
    assert [path.name for path in state.iterdir()] == ["keys"]
    assert list((state / "keys").glob("*.key")) != []
    gone: list[Path] = [
        machine.root / name for name in ("etc/openclick", "var/spool/postfix/openclick")
    ]
    assert [path for path in gone if path.exists()] == []


def test_links_outlive_a_purge(machine: PackagedMachine) -> None:
    """Installed once more on the kept keys, with a new store, old links lead where they did."""
    machine.install("current")
    machine.set_up()

    old = open_and_click((machine.root / "srv/before.eml").read_bytes())
    _, content = mail_in(machine, "once-more")

    assert old == messages.TRACKED_LINKS[1]
    assert tracking_links(content) != []
