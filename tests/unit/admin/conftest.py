"""Installations for every test of the `openclick` command, before and after `init`."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from openclick.store import open_store
from openclick_admin import main
from unit.admin.command_line import CommandLine
from unit.admin.fresh_installation import GROUP, Run, write_config
from unit.samples import a_domain


@pytest.fixture
def openclick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> CommandLine:
    """Return the command on an installation of its own, to which no domain is added."""
    return CommandLine(tmp_path, monkeypatch, capfdbinary)


@pytest.fixture
def tracked_domain(openclick: CommandLine) -> None:
    """Have kontor.example added, verified, tracking both."""
    openclick.add(a_domain())


@pytest.fixture
def config_path(tmp_path: Path) -> Path:
    """Return the settings of an installation that `openclick init` has not seen yet."""
    return write_config(tmp_path)


@pytest.fixture
def run(config_path: Path) -> Run:
    """Return the command with --config given."""

    def run_it(*args: str) -> Result:
        return CliRunner().invoke(main.openclick, ["--config", str(config_path), *args])

    return run_it


@pytest.fixture
def ready(run: Run) -> Run:
    """Return the command of an installation that is initialised."""
    assert run("init", "--group", GROUP).exit_code == 0
    return run


@pytest.fixture
def registry(ready: Run, tmp_path: Path) -> Any:
    """Return the registry of that installation."""
    with closing(open_store(f"sqlite:{tmp_path}/store").registry()) as opened:
        yield opened
