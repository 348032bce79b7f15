"""docs/tutorial.md, word for word: a fresh machine, the packages, stock Postfix and systemd."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.deployment import BROWSER
from support.http_client import fetch
from support.packaged_machine import PackagedMachine
from support.processes import LOOPBACK, wait_until
from support.room import unavailable_reason
from support.tutorial import (
    PAGE,
    PUBLISHED_AFTER_SECONDS,
    open_image_of,
    steps,
    steps_to_a_tracked_mail,
)

from .conftest import SUITES

_EVENTS = "openclick events"
_SUBMISSION = """
postconf -M 'submission/inet=submission inet n - y - - smtpd'
postconf -P 'submission/inet/smtpd_sasl_auth_enable=yes'
postconf -P 'submission/inet/smtpd_client_restrictions=permit_sasl_authenticated,reject'
postfix reload
"""
_DAEMONS = ("openclick-milter", "openclick-sidecar")


@dataclass
class Told:
    """What the commands of the page have printed, by command, and the daemons after the first."""

    printed: dict[str, str] = field(default_factory=dict)
    unit_states: list[str] = field(default_factory=list)
    stock_postfix: dict[str, bytes] = field(default_factory=dict)
    undone: list[tuple[dict[str, bytes], dict[str, bytes]]] = field(default_factory=list)
    strict: str = ""
    split: str = ""
    journal: list[dict[str, str]] = field(default_factory=list)
    syslog: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture(scope="module", params=SUITES)
def told(request: pytest.FixtureRequest, current: Path) -> Iterator[Told]:
    """Run the page on a machine of its own; a command that fails ends it."""
    reason = unavailable_reason()
    if reason is not None:
        pytest.skip(reason)  # not root, or no room to be had here
    with PackagedMachine(request.param, {"current": current}) as machine, machine.room.network():
        machine.dns.set("mail.example.com", "A", LOOPBACK)
        # What the other tests need of Postfix, and what an admin answers to apt's question.
        machine.shell("postconf -X smtpd_milters; postconf -e myhostname=mail.example.com")
        machine.shell("systemctl restart postfix")
        (machine.root / "etc/apt/apt.conf.d/90yes").write_text('APT::Get::Assume-Yes "true";\n')
        told = Told()
        for step in steps(PAGE.read_text("utf-8")):
            if step.command == _EVENTS:
                _open_the_mail(machine)
            if step.command.startswith("openclick domain add"):
                record = ("track.example.com", "CNAME", "mail.example.com.")
                threading.Timer(PUBLISHED_AFTER_SECONDS, machine.dns.set, record).start()
            if step.command.startswith("openclick postfix"):
                told.stock_postfix = _postfix_files(machine)
            told.printed[step.command] = machine.shell(f"cd /srv/current\n{step.command}")
            if step.command.startswith("apt "):
                told.unit_states = [machine.service(unit, "ActiveState") for unit in _DAEMONS]
                _ask_our_name_server(machine)
        _take_postfix_through_its_modes(machine, told)
        told.journal = _journal(machine)
        _log_to_syslog(machine)
        told.syslog = _journal(machine)[len(told.journal) :]
        yield told


def _postfix_files(machine: PackagedMachine) -> dict[str, bytes]:
    """Return what Postfix's configuration is made of, our copies aside."""
    etc = machine.root / "etc" / "postfix"
    return {
        str(path.relative_to(etc)): path.read_bytes()
        for path in etc.rglob("*")
        if path.is_file() and "openclick-undo" not in path.parts
    }


def _take_postfix_through_its_modes(machine: PackagedMachine, told: Told) -> None:
    """Undo the page's apply; then have it strict, with a copy a recipient, and undo that too.

    A split is for mail that comes with a login, so Debian's submission service is enabled for it.
    """
    machine.openclick("postfix", "--undo")
    told.undone.append((told.stock_postfix, _postfix_files(machine)))
    machine.shell(_SUBMISSION)
    before = _postfix_files(machine)
    machine.openclick("postfix", "--apply", "--strict", "--per-recipient", "example.com")
    told.strict = machine.shell("postconf -n; postconf -Mf; postconf -P")
    told.split = machine.openclick("test-send", "you@example.org")
    machine.openclick("postfix", "--undo")
    told.undone.append((before, _postfix_files(machine)))


def _journal(machine: PackagedMachine) -> list[dict[str, str]]:
    """Return what both daemons have said, oldest first, as the journal has it."""
    names = " ".join(f"--unit={unit}" for unit in _DAEMONS)
    said = machine.shell(f"journalctl --quiet --no-pager --output=json {names}")
    entries = [json.loads(text) for text in said.splitlines()]
    own = {f"{unit}.service" for unit in _DAEMONS}
    return [entry for entry in entries if entry.get("_SYSTEMD_UNIT") in own]


def _log_to_syslog(machine: PackagedMachine) -> None:
    """Restart both with another target; the journal's own socket is this machine's syslog."""
    settings = machine.root / "etc/openclick/openclick.toml"
    settings.write_text(settings.read_text("utf-8") + '[log]\ntarget = "syslog"\n', "utf-8")
    machine.shell(f"systemctl restart {' '.join(_DAEMONS)}")


def _ask_our_name_server(machine: PackagedMachine) -> None:
    """The machine of a reader of the page has a name server on port 53."""
    settings = machine.root / "etc/openclick/openclick.toml"
    address = f"{LOOPBACK}:{machine.dns.port}"
    settings.write_text(settings.read_text("utf-8") + f'[dns]\nnameservers = ["{address}"]\n')


def _open_the_mail(machine: PackagedMachine) -> None:
    """Show its images, as a reader's program does, and wait until that is judged."""
    mail = wait_until(lambda: list(machine.sink.messages), 30, "the test mail")[0].content
    fetch(open_image_of(mail), (LOOPBACK, 80), {"User-Agent": BROWSER})
    wait_until(
        lambda: "email.opened" in machine.openclick("events", "--json"), 60, "the event", 0.5
    )


def test_each_command_prints_what_the_page_shows(told: Told) -> None:
    """From apt to the webhook's secret."""
    for step in steps(PAGE.read_text("utf-8")):
        for line in step.shown:
            assert line in told.printed[step.command].splitlines()


def test_five_commands_lead_to_a_tracked_mail(told: Told) -> None:
    """From the packages on; and no more of them was run on this machine."""
    commands = [step.command for step in steps_to_a_tracked_mail(PAGE.read_text("utf-8"))]

    assert len(commands) == 5
    assert commands == list(told.printed)[:5]
    assert "Tracked: " in told.printed[commands[-1]]


def test_the_sidecar_waits_for_the_admins_word(told: Told) -> None:
    """An installation opens no port; the milter, which Postfix does not name yet, runs."""
    assert told.unit_states == ["active", "inactive"]


def test_undo_restores_every_byte(told: Told) -> None:
    """Of the configuration that Debian's Postfix came with: 3.7 and 3.10, smtpd chrooted."""
    assert set(told.stock_postfix) >= {"main.cf", "master.cf"}
    assert len(told.undone) == 2
    assert all(before == after for before, after in told.undone)


def test_strict_and_one_copy_a_recipient(told: Told) -> None:
    """Both are taken by either Postfix, and mail is tracked on its second pass."""
    assert "default_action=tempfail" in told.strict
    assert "default_action=accept" not in told.strict
    assert "oc_split" in told.strict
    assert told.split.startswith("Tracked: 1 of 3 links, with the open image.\n")


def test_the_journal_has_each_lines_level(told: Told) -> None:
    """So that `journalctl -p warning` finds what somebody has to look at."""
    priorities = {"error": "3", "warning": "4", "info": "6", "debug": "7"}

    levels = [(entry["MESSAGE"].split()[1], entry["PRIORITY"]) for entry in told.journal]

    assert len(levels) > 3
    assert [pair for pair in levels if priorities[pair[0]] != pair[1]] == []
    mail = [text for entry in told.journal if " instrumented " in (text := entry["MESSAGE"])]
    assert [text.split(" ")[:2] for text in mail] == [["openclick-milter", "info"]] * 2


def test_the_hardened_sidecar_asks_postfix_for_its_name(told: Told) -> None:
    """As the command does, so that both mean the same record."""
    said = [entry["MESSAGE"] for entry in told.journal if "point to" in entry["MESSAGE"]]

    assert said != []
    assert all('name=mail.example.com source="Postfix\'s myhostname"' in text for text in said)


def test_syslog_has_them_beside_postfixs_own(told: Told) -> None:
    """With `log.target = "syslog"`: facility mail, by the daemon's name, with the level."""
    lines = [entry for entry in told.syslog if entry.get("SYSLOG_FACILITY") == "2"]

    assert {entry["SYSLOG_IDENTIFIER"] for entry in lines} == set(_DAEMONS)
    assert {entry["PRIORITY"] for entry in lines if "ready" in entry["MESSAGE"]} == {"6"}


def test_there_is_an_event_in_the_end(told: Told) -> None:
    """Of the first tracked mail, opened by its reader."""
    assert "email.opened" in told.printed[_EVENTS]
