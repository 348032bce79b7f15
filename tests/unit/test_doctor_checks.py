"""The registry of checks: whole, documented, silent where all is well."""

import re
from pathlib import Path

import pytest

from openclick_admin.doctor.checks import CHECKS, Check, examine
from openclick_admin.doctor.findings import Level, fault, ok, warning, worst
from unit.doctor_facts import bad, healthy, one

DOCTOR_PAGE = Path(__file__).resolve().parents[2] / "docs" / "doctor.md"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_nothing_is_said_against_a_healthy_installation(check: Check) -> None:
    """A doctor that cries wolf is not asked again."""
    assert bad(check.judge, healthy()) == []


def test_every_check_has_a_row_on_the_page() -> None:
    """In the order in which they are printed."""
    told = re.findall(r"^\| `([a-z-]+)` \|", DOCTOR_PAGE.read_text("utf-8"), re.MULTILINE)

    assert told == [check.name for check in CHECKS]


def test_findings_say_what_to_do() -> None:
    """A fault or warning without a cure would leave the admin alone; an ok line has none."""
    assert all(not finding.to_do for _, finding in examine(healthy()))
    assert ok("a", "b").to_do == ""


def test_the_worst_counts() -> None:
    """The exit status is that of the worst finding."""
    assert worst([ok("a", "b"), fault("a", "b", "c"), warning("a", "b", "c")]) is Level.FAULT
    assert worst([warning("a", "b", "c"), ok("a", "b")]) is Level.WARNING
    assert worst([]) is Level.OK


def test_not_run_as_root() -> None:
    """What stays hidden then is said."""
    (rights,) = (check for check in CHECKS if check.name == "rights")

    assert one(rights.judge, healthy(is_root=False)).endswith("-> run this as root")
