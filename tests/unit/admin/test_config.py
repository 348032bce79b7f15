"""`openclick config`: the settings checked, and their sample."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from openclick.config import parse_config
from openclick.settings import Config
from openclick_admin.main import openclick
from unit.admin.fresh_installation import Run, ended, write_config


def test_config_check(run: Run, config_path: Path) -> None:
    """One line, status 0."""
    result = run("config", "check")

    assert (0, f"{config_path}: no fault found\n") == (result.exit_code, result.output)


def test_config_check_reads_the_judges_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rule or a network at fault is found before the sidecar is restarted: status 78."""
    rules = tmp_path / "rules.toml"
    rules.write_text('off = ["crawlers"]\n')
    path = write_config(tmp_path, judge={"rules_file": str(rules)})

    status, _, err = ended(capsys, "--config", str(path), "config", "check")

    assert (78, f"openclick: {rules}: off: 'crawlers': there is no such rule; did you mean ") == (
        status,
        err[: err.index("did you mean ") + 13],
    )


def test_config_sample() -> None:
    """Printed without a settings file; what is printed is the defaults."""
    result = CliRunner().invoke(openclick, ["--config", "/nonexistent", "config", "sample"])

    assert result.exit_code == 0
    assert Config() == parse_config(result.output, "sample")
