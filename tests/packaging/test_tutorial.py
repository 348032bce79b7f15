"""docs/tutorial.md, word for word: a fresh machine, the packages, stock Postfix and systemd."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.deployment import BROWSER
from support.http_client import fetch
from support.packaged_machine import PackagedMachine
from support.processes import LOOPBACK, wait_until
from support.room import unavailable_reason
from support.tutorial import PAGE, open_image_of, steps

from .conftest import SUITES

_EVENTS = "openclick events"


@dataclass
class Told:
    """What the commands of the page have printed, by command."""

    printed: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module", params=SUITES)
def told(request: pytest.FixtureRequest, current: Path) -> Iterator[Told]:
    """Run the page on a machine of its own; a command that fails ends it."""
    reason = unavailable_reason()
    if reason is not None:
        pytest.skip(reason)  # not root, or no room to be had here
    with PackagedMachine(request.param, {"current": current}) as machine, machine.room.network():
        machine.dns.set("mail.example.com", "A", LOOPBACK)
        machine.dns.set("track.example.com", "CNAME", "mail.example.com.")
        # What the other tests need of Postfix, and what an admin answers to apt's question.
        machine.shell("postconf -X smtpd_milters; systemctl restart postfix")
        (machine.root / "etc/apt/apt.conf.d/90yes").write_text('APT::Get::Assume-Yes "true";\n')
        told = Told()
        for step in steps(PAGE.read_text("utf-8")):
            if step.command == _EVENTS:
                _open_the_mail(machine)
            told.printed[step.command] = machine.shell(f"cd /srv/current\n{step.command}")
            if step.command.startswith("apt "):
                _ask_our_name_server(machine)
        yield told


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


def test_there_is_an_event_in_the_end(told: Told) -> None:
    """Of the first tracked mail, opened by its reader."""
    assert "email.opened" in told.printed[_EVENTS]
