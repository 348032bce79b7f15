"""docs/tutorial.md, run word for word on what looks like a fresh machine."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.fixtures import requires_private_postfix
from support.tutorial import PAGE, steps, steps_to_a_tracked_mail

pytestmark = requires_private_postfix

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("core", "milter", "sidecar", "admin", "tests")
_SECONDS = 300


def _why_no_room() -> str:
    """Return why the room cannot be made here, "" where it can."""
    trial = (
        "mount -t tmpfs t /mnt && mkdir /mnt/u /mnt/w && "
        "mount -t overlay o -o lowerdir=/etc,upperdir=/mnt/u,workdir=/mnt/w /etc"
    )
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", trial],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else f"no namespaces or overlayfs: {done.stderr.strip()}"


@pytest.fixture(scope="module")
def told() -> Iterator[list[dict[str, Any]]]:
    """Run the page and give what each of its commands did."""
    if reason := _why_no_room():
        pytest.skip(reason)  # no namespaces or overlays here
    done = subprocess.run(
        [
            *("unshare", "--mount", "--net", "--pid", "--mount-proc", "--fork", "--kill-child"),
            *(sys.executable, "-m", "support.tutorial_room"),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join(str(ROOT / name) for name in FOLDERS)},
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_every_command_succeeds(told: list[dict[str, Any]]) -> None:
    """In the order of the page, each with exit status 0."""
    failed = [done for done in told[:-2] if done["status"] != 0]

    assert failed == []
    assert [done["command"] for done in told[:-2]] == [
        step.command for step in steps(PAGE.read_text("utf-8"))
    ]


def test_what_the_page_shows_is_printed(told: list[dict[str, Any]]) -> None:
    """Each line of output on the page is a line of the command's."""
    for step, done in zip(steps(PAGE.read_text("utf-8")), told[:-2], strict=True):
        for line in step.shown:
            assert line in done["output"].splitlines(), done


def test_the_record_is_the_one_that_the_page_tells(told: list[dict[str, Any]]) -> None:
    """`domain add` prints what the page says it prints."""
    (added,) = [done["output"] for done in told if "domain add" in done["command"]]

    assert "track.example.com. 3600 IN CNAME mail.example.com." in added


def test_there_is_an_event_in_the_end(told: list[dict[str, Any]]) -> None:
    """The opened mail is in the list, and counted."""
    (events,) = [done["output"] for done in told if done["command"] == "openclick events"]
    (stats,) = [done["output"] for done in told if done["command"] == "openclick stats"]

    assert "email.opened" in events
    assert any(line.split()[:3] == ["opens,", "unique", "1"] for line in stats.splitlines()), stats


def test_the_record_is_waited_for(told: list[dict[str, Any]]) -> None:
    """What is missing is said while it is, and nothing has to be run again."""
    (added,) = [done["output"] for done in told if "domain add" in done["command"]]

    assert "track.example.com does not exist; need a CNAME to mail.example.com" in added
    assert "[name_not_found]; trying again" in added


def test_the_doctor_finds_port_80_of_systemds(told: list[dict[str, Any]]) -> None:
    """The sidecar listens there instead of where the settings say, and nothing is wrong with it."""
    (looked,) = [done["output"] for done in told if done["command"] == "openclick doctor"]

    ports = [line for line in looked.splitlines() if line.split()[1:2] == ["ports"]]

    assert [line for line in ports if not line.startswith("ok ")] == []
    assert any("socket of systemd 127.0.0.1:80: the sidecar answers" in line for line in ports)
    assert "sidecar.listen" not in looked


def test_the_sidecar_says_whose_name_it_is(told: list[dict[str, Any]]) -> None:
    """No setting was written: its log tells that Postfix's name stands in."""
    (log,) = [done["output"] for done in told if done["command"].startswith("cat ")]

    assert "tracking domains point to name=mail.example.com" in log
    assert 'source="Postfix\'s myhostname"' in log


def test_five_commands_lead_there() -> None:
    """As promised on the first line of the page: from the installation to a tracked mail."""
    page = PAGE.read_text("utf-8")
    commands = [step.command.split()[0] for step in steps_to_a_tracked_mail(page)]
    headings = [line for line in page.splitlines() if line.startswith("## ")]

    assert commands == ["apt", "systemctl", "openclick", "openclick", "openclick"]
    assert [heading[3:5] for heading in headings[:5]] == ["1.", "2.", "3.", "4.", "5."]
