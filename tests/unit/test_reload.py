"""When a changed setting takes effect: what each daemon reads, and what SIGHUP does."""

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclick.config import load_config, parse_config
from openclick.reload import (
    MILTER_RESTART,
    SIDECAR_RELOAD,
    changed,
    effect,
    milter_reads,
    sidecar_reads,
    with_option,
)
from openclick.settings import SECTIONS, Config, table
from openclick_sidecar.reload import Reload

ROOT = Path(__file__).resolve().parents[2]
BY_BOTH = {"log"}
"""Read by core/openclick/startup.py, for either daemon."""
BY_SIDECAR = {"keys", "links", "milter"}
"""Handed on as a whole to what checks domains and to the API, which also writes our headers."""


def sections_read_in(folder: str) -> set[str]:
    """Return the sections of a Config that a package's code names, as in config.links."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in SECTIONS:
                owner = node.value
                name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
                if name.lstrip("_") == "config":
                    found.add(node.attr)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a file of settings."""
    made = tmp_path / "openclick.toml"
    made.write_text('[log]\nlevel = "info"\n', "utf-8")
    return made


@pytest.fixture
def reload(path: Path) -> Iterator[Reload]:
    """Give what the sidecar calls on SIGHUP; the root logger's level is put back."""
    level = logging.getLogger().level
    yield Reload(load_config(str(path)), str(path))
    logging.getLogger().setLevel(level)


def test_the_table_knows_what_each_daemon_reads() -> None:
    """Each section that a daemon's code names, and no other, is said to be read by it."""
    milter = {row.section for row in table() if milter_reads(row.section, row.name)}
    sidecar = {row.section for row in table() if sidecar_reads(row.section, row.name)}

    assert sections_read_in("milter/openclick_milter") | BY_BOTH == milter
    assert sections_read_in("sidecar/openclick_sidecar") | BY_BOTH | BY_SIDECAR == sidecar


def test_every_option_takes_effect_somewhere() -> None:
    """An option that no daemon reads would be a dead one."""
    assert [row for row in table() if not effect(row.section, row.name)] == []


def test_options_that_are_named_exist() -> None:
    """A misspelt exception would be none."""
    there = {(row.section, row.name) for row in table()}

    assert {*MILTER_RESTART, *SIDECAR_RELOAD} <= there


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("milter", "deadline_seconds"), "openclick-milter on SIGHUP"),
        (("milter", "socket"), "openclick-milter on restart"),
        (("log", "level"), "openclick-milter on SIGHUP, openclick-sidecar on SIGHUP"),
        (("sidecar", "listen"), "openclick-sidecar on restart"),
        (("retention", "messages_days"), "openclick-milter on SIGHUP"),
        (("keys", "directory"), "openclick-milter on SIGHUP, openclick-sidecar on restart"),
    ],
)
def test_effect_in_words(option: tuple[str, str], words: str) -> None:
    """As docs/settings.md has it under each option."""
    assert effect(*option) == words


def test_changed_options() -> None:
    """By section and name, in the order of the table."""
    old = Config()
    new = parse_config('[milter]\nvendor_headers = true\n[log]\nlevel = "debug"\n', "x")

    assert list(changed(old, new)) == [("milter", "vendor_headers"), ("log", "level")]
    assert list(changed(with_option(old, "log", "level", "debug"), new)) == [
        ("milter", "vendor_headers")
    ]


def test_the_sidecar_takes_a_new_level(reload: Reload, path: Path) -> None:
    """Without a restart, which would cost a moment."""
    path.write_text('[log]\nlevel = "debug"\n', "utf-8")

    reload()

    assert logging.getLogger().level == logging.DEBUG
    assert reload.config.log.level == "debug"


def test_the_sidecar_names_what_needs_a_restart(
    reload: Reload, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And keeps the old value; the milter's own options are none of its business."""
    path.write_text("[sidecar]\nhold_seconds = 9\n[milter]\nvendor_headers = true\n", "utf-8")

    with caplog.at_level("INFO"):
        reload()

    assert "sidecar.hold_seconds has changed: restart needed" in caplog.text
    assert "vendor_headers" not in caplog.text
    assert reload.config.sidecar.hold_seconds == 3


def test_settings_at_fault_change_nothing(
    reload: Reload, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each fault is named."""
    path.write_text('[log]\nlevel = "loud"\n', "utf-8")

    reload()

    assert 'log.level = "loud": need one of' in caplog.text
    assert "the settings stay as they were" in caplog.text
    assert reload.config.log.level == "info"
