"""The `openclick` command, run in-process: help, settings and what ends every subcommand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from openclick import __version__
from openclick_admin.main import openclick
from unit.admin.fresh_installation import ended, write_config


def test_help_is_there_without_settings() -> None:
    """Help needs no file, no store and no root."""
    result = CliRunner().invoke(openclick, ["--help"])

    assert result.exit_code == 0
    for word in ("init", "config", "domain", "webhook", "events", "keys"):
        assert re.search(rf"^  {word} ", result.output, re.MULTILINE)


def test_version() -> None:
    """The package's."""
    assert CliRunner().invoke(openclick, ["--version"]).output == (
        f"openclick, version {__version__}\n"
    )


def test_help_is_quick() -> None:
    """No subcommand is imported before it is called, nor Twisted or dnspython at all."""
    code = """if True:
        import sys
        from click.testing import CliRunner
        from openclick_admin.main import openclick
        CliRunner().invoke(openclick, ["--help"])
        slow = ("twisted", "dns", "rich", "openclick_admin.domain")
        print([module for module in slow if module in sys.modules])
    """

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout == "[]\n"


def test_unknown_subcommand() -> None:
    """Status 2: the command line is wrong."""
    result = CliRunner().invoke(openclick, ["dance"])

    assert result.exit_code == 2
    assert "No such command 'dance'" in result.output


def test_settings_by_the_environment(config_path: Path) -> None:
    """OPENCLICK_CONFIG names the file too."""
    result = CliRunner().invoke(
        openclick, ["config", "check"], env={"OPENCLICK_CONFIG": str(config_path)}
    )

    assert result.output == f"{config_path}: no fault found\n"


def test_settings_at_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 78; each fault in one line on standard error, and nothing is done."""
    path = write_config(tmp_path, links={"port": -1}, milter={"socket": "x"})

    status, out, err = ended(capsys, "--config", str(path), "domain", "list")

    assert (78, "") == (status, out)
    assert [
        f"openclick: {path}:8: links.port = -1: need a",
        f"openclick: {path}:10: milter.socket",
    ] == [
        text[: len(expected)]
        for text, expected in zip(
            err.splitlines(),
            (
                f"openclick: {path}:8: links.port = -1: need a",
                f"openclick: {path}:10: milter.socket",
            ),
            strict=True,
        )
    ]


def test_settings_are_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Likewise."""
    status, _, err = ended(capsys, "--config", f"{tmp_path}/none", "config", "check")

    assert (78, f"openclick: {tmp_path}/none: cannot be read: No such file or directory\n") == (
        status,
        err,
    )


def test_store_is_missing(config_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 69 and one line, before `openclick init` has run."""
    status, _, err = ended(capsys, "--config", str(config_path), "domain", "list")

    assert status == 69
    assert re.fullmatch(r"openclick: .*/store/openclick\.db: cannot be created: .*\n", err)


def test_keys_are_missing(config_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Likewise."""
    status, _, err = ended(capsys, "--config", str(config_path), "keys", "list")

    assert status == 69
    assert re.fullmatch(r"openclick: .*/keys: cannot be listed: No such file or directory\n", err)
