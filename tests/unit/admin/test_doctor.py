"""`openclick doctor` as it is called: what it prints, and how it ends.

Nothing runs here, so there are faults; which faults, the tests of the judges and of the real
installation tell.
"""

import pytest

from openclick_admin.doctor import checks, command, gather
from openclick_admin.doctor.checks import Check
from openclick_admin.doctor.findings import Finding, fault, ok, warning
from unit.admin.command_line import CommandLine
from unit.doctor_facts import healthy

OK = ok("disk", "9 bytes are free")
WARNING = warning("clock", "nobody keeps it", "run chrony")
FAULT = fault("milter", "has never run", "start it")


@pytest.fixture
def doctor(openclick: CommandLine) -> CommandLine:
    """Give the command, on an installation without Postfix."""
    return openclick


@pytest.fixture
def finds(monkeypatch: pytest.MonkeyPatch) -> object:
    """Give a function that makes these the findings of the only check."""
    monkeypatch.setattr(gather, "gather", lambda *_: healthy())

    def plant(*findings: Finding) -> None:
        monkeypatch.setattr(checks, "CHECKS", (Check("planted", lambda _facts: findings),))

    return plant


@pytest.mark.parametrize(
    ("findings", "status"), [((OK,), 0), ((OK, WARNING), 1), ((FAULT, WARNING), 3), ((), 0)]
)
def test_the_exit_status_is_the_worst(
    doctor: CommandLine, finds: object, findings: tuple[Finding, ...], status: int
) -> None:
    """0, 1 and 3; 2 is left for a wrong command line."""
    finds(*findings)  # type: ignore[operator]

    assert doctor("doctor").status == status


def test_a_line_says_level_check_subject_finding_and_cure(
    doctor: CommandLine, finds: object
) -> None:
    """The cure stands below, and the last line counts."""
    finds(FAULT, OK)  # type: ignore[operator]

    said = doctor("doctor").text.splitlines()

    assert said == [
        "fault    planted  milter: has never run",
        "                  -> start it",
        "ok       planted  disk: 9 bytes are free",
        "1 faults, 0 warnings, 1 lines ok",
    ]


def test_quiet_leaves_out_what_is_well(doctor: CommandLine, finds: object) -> None:
    """For a timer."""
    finds(OK, WARNING)  # type: ignore[operator]

    said = doctor("doctor", "--quiet").text

    assert "disk" not in said
    assert "nobody keeps it" in said


def test_json(doctor: CommandLine, finds: object) -> None:
    """The same, for a program."""
    finds(WARNING, OK)  # type: ignore[operator]

    assert doctor("doctor", "--json").json == {
        "worst": "warning",
        "findings": [
            {
                "check": "planted",
                "level": "warning",
                "subject": "clock",
                "found": "nobody keeps it",
                "to_do": "run chrony",
            },
            {
                "check": "planted",
                "level": "ok",
                "subject": "disk",
                "found": "9 bytes are free",
                "to_do": None,
            },
        ],
    }


def test_what_was_found_cannot_forge_a_line(doctor: CommandLine, finds: object) -> None:
    """A server's answer is a stranger's text."""
    finds(fault("x", "status 200\nok       all is well\x1b[2J", "look"))  # type: ignore[operator]

    said = doctor("doctor").text

    assert "\\u000aok" in said
    assert "\x1b" not in said


def test_settings_at_fault(doctor: CommandLine) -> None:
    """Each fault with file and line; nothing else can be looked at."""
    doctor.configure("[sidecar]", "listn = []")

    done = doctor("doctor", "--json")

    (finding,) = done.json["findings"]
    assert done.status == command.EX_FAULT_FOUND
    assert finding["check"] == "settings"
    assert (
        "openclick.toml:6: sidecar.listn: unknown option; did you mean listen?" in finding["found"]
    )


def test_an_installation_of_which_nothing_runs(doctor: CommandLine) -> None:
    """Every look that fails is a finding, none an error of the command."""
    doctor.configure("[sidecar]", "listen = []", "metrics_listen = []")

    done = doctor("doctor", "--json", "--postfix-config", str(doctor.store.directory))

    faulty = {each["check"] for each in done.json["findings"] if each["level"] == "fault"}
    assert done.status == command.EX_FAULT_FOUND
    assert {"milter", "sidecar", "postfix", "domains", "dns", "store", "webhooks"} <= faulty
